-- What a key is for: `live`, or `test` for one whose messages go to the simulator alone.
alter table api_key add column kind text not null default 'live';
-- A JSON array of networks that it may be used from; empty for all.
alter table api_key add column networks text not null default '[]';
-- Its own rate of requests; null for the installation's.
alter table api_key add column rate_per_second bigint;
alter table api_key add column rate_burst bigint;
alter table api_key add column rotated_at bigint;
alter table api_key add column last_used_from text;
alter table api_key add column last_used_agent text;
-- The secret before this one, while both are let in.
alter table api_key add column former_hash text;
alter table api_key add column former_shown text;
alter table api_key add column former_until bigint;
alter table api_key add column former_used_at bigint;

create unique index api_key_former on api_key (former_hash);

-- Applications that ask for tokens.
create table oauth_client (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    name text not null,
    -- `confidential` has a secret and acts in its own name; `public` has none and acts for people.
    kind text not null,
    -- JSON arrays: permission names, addresses of the application, networks.
    scopes text not null,
    redirect_uris text not null,
    networks text not null,
    -- Whose rights bound its own; null for the installation's.
    owner_id bigint references users (id),
    secret_hash text,
    shown text,
    rotated_at bigint,
    former_hash text,
    former_shown text,
    former_until bigint,
    former_used_at bigint,
    created_by text not null,
    created_at bigint not null,
    last_used_at bigint,
    last_used_from text,
    last_used_agent text
);

create index oauth_client_tenant on oauth_client (tenant_id, id);
create index oauth_client_owner on oauth_client (owner_id);

-- What a person lets an application do: the family of its refresh tokens.
create table oauth_grant (
    id bigint primary key,
    tenant_id bigint not null,
    client_id bigint not null references oauth_client (id),
    user_id bigint not null references users (id),
    scopes text not null,
    created_at bigint not null,
    expires_at bigint not null,
    ended_at bigint,
    ended_by text,
    last_used_at bigint,
    from_address text,
    user_agent text
);

create index oauth_grant_user on oauth_grant (tenant_id, user_id, id);
create index oauth_grant_client on oauth_grant (client_id);
create index oauth_grant_expiry on oauth_grant (expires_at);

-- Authorization codes. A spent one is kept until it expires, so that its second use is known.
create table oauth_code (
    code_hash text primary key,
    tenant_id bigint not null,
    grant_id bigint not null references oauth_grant (id),
    client_id bigint not null,
    redirect_uri text not null,
    challenge text not null,
    expires_at bigint not null,
    spent_at bigint
);

create index oauth_code_grant on oauth_code (grant_id);
create index oauth_code_expiry on oauth_code (expires_at);

-- Refresh tokens. Spent ones are kept until they expire, for the same reason.
create table refresh_token (
    token_hash text primary key,
    tenant_id bigint not null,
    grant_id bigint not null references oauth_grant (id),
    created_at bigint not null,
    expires_at bigint not null,
    spent_at bigint
);

create index refresh_token_grant on refresh_token (grant_id);
create index refresh_token_expiry on refresh_token (expires_at);

-- Access tokens that were revoked before their time, until that has come.
create table revoked_token (
    token_id text primary key,
    tenant_id bigint not null,
    expires_at bigint not null
);

create index revoked_token_expiry on revoked_token (expires_at);

-- The keys that sign access tokens. The installation's own, of no tenant.
create table signing_key (
    id bigint primary key,
    created_at bigint not null,
    -- From when it signs; it is published before, so that no reader meets a token of a key it has not seen.
    signs_from bigint not null,
    -- The public key as a JSON Web Key.
    public_key text not null,
    -- Its data key, wrapped by the root key, and the private key (PKCS #8) sealed with that.
    data_key text not null,
    private_key text not null
);
