-- Whether the owner of the mailbox has shown that it is theirs, and since when.
alter table users add column email_verified_at bigint;
alter table users add column password_set_at bigint;
-- The cost of a bcrypt hash that another system has made, until the first sign-in replaces it by argon2id.
alter table users add column imported_cost bigint;
create index users_imported on users (imported_cost);

-- When the person behind a session last proved who they are.
alter table session add column proven_at bigint not null default 0;

-- Where the link was mailed to; null when somebody handed it over.
alter table sign_in_link add column mailed_to text;

-- Hashes of former passwords, which are refused as the new one.
create table password_history (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    password_hash text not null
);

create index password_history_user on password_history (tenant_id, user_id, id);

-- The authenticator of a user (RFC 6238). It counts once a code of it was shown.
create table totp (
    user_id bigint primary key references users (id),
    tenant_id bigint not null,
    -- Sealed with the tenant's key.
    secret_sealed text not null,
    created_at bigint not null,
    confirmed_at bigint,
    -- The last step whose code was accepted: no code of it or of an earlier one is accepted again.
    last_step bigint not null,
    last_used_at bigint
);

-- Codes for the day when the authenticator is lost. A code is deleted by its use.
create table backup_code (
    code_hash text primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    created_at bigint not null
);

create index backup_code_user on backup_code (tenant_id, user_id);

-- Passkeys (Web Authentication). What is kept of them is no secret.
create table passkey (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    name text not null,
    -- base64url
    credential_id text not null,
    credential text not null,
    created_at bigint not null,
    last_used_at bigint
);

create unique index passkey_credential on passkey (credential_id);
create index passkey_user on passkey (tenant_id, user_id, id);

-- Browsers that a user has signed in with.
create table device (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    token_hash text not null,
    created_at bigint not null,
    last_seen_at bigint not null,
    -- Until when it is not asked for the second step.
    trusted_until bigint,
    from_address text,
    user_agent text
);

create unique index device_token on device (user_id, token_hash);
create index device_user on device (tenant_id, user_id, id);
create index device_seen on device (last_seen_at);

-- Sign-ins that wait for their second step. The token is in the browser's cookie and nowhere else.
create table pending_sign_in (
    token_hash text primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    -- How the first step was made.
    first_step text not null,
    -- Where the person wanted to go.
    back text not null,
    -- The user has no second factor yet and must have one.
    enrol boolean not null,
    created_at bigint not null,
    expires_at bigint not null,
    tries bigint not null,
    -- A code that was mailed, as a hash with the token.
    mail_code_hash text,
    mail_code_until bigint,
    mail_codes bigint not null
);

create index pending_sign_in_user on pending_sign_in (tenant_id, user_id, created_at);
create index pending_sign_in_expiry on pending_sign_in (expires_at);

-- What was mailed and can be used once: to set a new password, to show that a mailbox is one's own.
create table mailed_token (
    token_hash text primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    -- reset, verify
    purpose text not null,
    -- The address it was sent to: it proves that one alone.
    email_folded text not null,
    expires_at bigint not null
);

create index mailed_token_user on mailed_token (tenant_id, user_id, purpose, expires_at);
create index mailed_token_expiry on mailed_token (expires_at);

-- Failed sign-ins in a row of users, so that a restart forgives nobody; at most two rows for a user.
create table failed_sign_in (
    user_id bigint not null references users (id),
    -- first, second
    step text not null,
    tenant_id bigint not null,
    failures bigint not null,
    last_at bigint not null,
    primary key (user_id, step)
);

create index failed_sign_in_tenant on failed_sign_in (tenant_id, last_at);

-- What happened around a user's account, as they and administrators read it.
create table security_entry (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    at bigint not null,
    kind text not null,
    detail text,
    -- Who did it, where it was not the user.
    done_by text,
    from_address text,
    user_agent text
);

create index security_entry_user on security_entry (tenant_id, user_id, id);

-- How people of a tenant sign in; without a row, as the defaults say.
create table sign_in_policy (
    tenant_id bigint primary key references tenant (id),
    -- A JSON array of the roles that need a second factor.
    second_factor_roles text not null,
    -- Whether a code by mail stands in for a second factor that is not at hand.
    mail_codes boolean not null,
    changed_at bigint not null
);
