-- Codes to sign in that go to people's phones: off unless a tenant allows it, and only to numbers that begin as it says.
alter table sign_in_policy add column sms_codes boolean not null default false;
-- Whether a phone is a second factor by itself, with nothing beside it.
alter table sign_in_policy add column sms_alone boolean not null default false;
-- Who the codes come from; null for the connection's own sender.
alter table sign_in_policy add column sms_sender text;
-- A JSON array of beginnings of numbers, such as +33.
alter table sign_in_policy add column sms_prefixes text not null default '[]';
-- Codes that the tenant's people get within an hour, all together.
alter table sign_in_policy add column sms_hour_max bigint not null default 100;

-- The phone of a user that codes go to, and one that is about to take its place.
create table user_phone (
    user_id bigint primary key references users (id),
    tenant_id bigint not null,
    -- International, digits alone; null before the first number is confirmed.
    phone text,
    confirmed_at bigint,
    last_used_at bigint,
    -- The number that is being added, until a code that was sent to it was shown.
    wanted text,
    -- A keyed hash of that code.
    wanted_hash text,
    wanted_until bigint,
    wanted_tries bigint not null,
    created_at bigint not null
);

create index user_phone_number on user_phone (tenant_id, phone);

-- Each code that was sent, for an hour: what bounds them.
create table sms_code (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    phone text not null,
    at bigint not null
);

create index sms_code_tenant on sms_code (tenant_id, at);
create index sms_code_at on sms_code (at);

-- A code that was sent to the phone, as a hash with the token, beside the one by mail.
alter table pending_sign_in add column sms_code_hash text;
alter table pending_sign_in add column sms_code_until bigint;
alter table pending_sign_in add column sms_codes bigint not null default 0;

-- One row: the id of this installation, which a key management service binds the root key to.
create table installation (
    number bigint primary key,
    id text not null,
    made_at bigint not null
);
