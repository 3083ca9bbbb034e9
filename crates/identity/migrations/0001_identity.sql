-- The organisations. The platform's own table: it has no tenant_id, because its rows are the tenants.
create table tenant (
    id bigint primary key,
    name text not null,
    slug text not null,
    locale text not null,
    time_zone text not null,
    status text not null,
    -- The tenant's data key, wrapped by the root key.
    data_key text not null,
    created_at bigint not null
);

create unique index tenant_slug on tenant (slug);

-- People who sign in. In the plural because `user` is a word of PostgreSQL's own.
create table users (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    email text not null,
    -- Lower case; whoever signs in is found by it before the tenant is known, so it is unique over all tenants.
    email_folded text not null,
    name text not null,
    role text not null,
    language text not null,
    status text not null,
    -- argon2id in the PHC string format; null until a password is set.
    password_hash text,
    created_at bigint not null,
    last_sign_in_at bigint
);

create unique index users_email on users (email_folded);
create index users_tenant on users (tenant_id, id);

-- One-time sign-in links. A link is deleted by its use.
create table sign_in_link (
    token_hash text primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    expires_at bigint not null
);

create index sign_in_link_user on sign_in_link (tenant_id, user_id);
create index sign_in_link_expiry on sign_in_link (expires_at);

-- Signed-in browsers.
create table session (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    token_hash text not null,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null,
    from_address text,
    user_agent text
);

create unique index session_token on session (token_hash);
create index session_of_user on session (tenant_id, user_id, id);
create index session_expiry on session (expires_at);

-- Keys of programs.
create table api_key (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    name text not null,
    secret_hash text not null,
    -- The secret's first characters, by which people tell keys apart.
    shown text not null,
    -- A JSON array of permission names.
    scopes text not null,
    -- Whose rights bound the key's; null for the installation's own key.
    owner_id bigint references users (id),
    created_by text not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
);

create unique index api_key_secret on api_key (secret_hash);
create index api_key_tenant on api_key (tenant_id, id);
create index api_key_owner on api_key (owner_id);
