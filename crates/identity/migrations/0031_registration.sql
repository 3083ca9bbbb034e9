-- Who may register by themselves; nobody without a row.
create table registration_policy (
    tenant_id bigint primary key references tenant (id),
    open boolean not null,
    -- A JSON array of mail domains; empty for all.
    domains text not null,
    -- The role that newcomers get.
    role text not null,
    -- Whether somebody must let each of them in.
    approval boolean not null,
    changed_at bigint not null
);

-- Newcomers who are no users yet: until they have shown that the address is theirs, and until somebody lets them in.
create table registration (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    email text not null,
    email_folded text not null,
    name text not null,
    language text not null,
    password_hash text not null,
    from_address text,
    -- SHA-256 of what was mailed; null before the mail is written and after the token was used.
    token_hash text,
    created_at bigint not null,
    verified_at bigint,
    -- When it is forgotten, and its token is of no use any more.
    expires_at bigint not null
);

create unique index registration_token on registration (token_hash) where token_hash is not null;
create index registration_tenant on registration (tenant_id, id);
create index registration_email on registration (tenant_id, email_folded, id);
create index registration_expiry on registration (expires_at);
