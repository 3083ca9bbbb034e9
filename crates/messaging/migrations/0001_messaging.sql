-- A customer's system that binds to us. Its system_id alone tells whose it is, so it is unique over all tenants.
create table smpp_account (
    id bigint primary key,
    tenant_id bigint not null,
    system_id text not null,
    name text not null,
    password_hash text not null,
    active boolean not null,
    -- limits and defaults, as JSON: see AccountSettings
    settings text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index smpp_account_system_id on smpp_account (system_id);
create index smpp_account_tenant on smpp_account (tenant_id, id);

-- A carrier that we bind to.
create table connection (
    id bigint primary key,
    tenant_id bigint not null,
    name text not null,
    -- whether it should be up: 'started', 'stopped' or 'draining'
    wanted text not null,
    -- host, binds, window, dialect …, as JSON: see ConnectionSettings
    settings text not null,
    password_sealed text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index connection_name on connection (tenant_id, name);

create table route (
    id bigint primary key,
    tenant_id bigint not null,
    name text not null,
    priority bigint not null,
    active boolean not null,
    -- conditions and targets, as JSON: see RouteRule
    rule text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index route_name on route (tenant_id, name);

-- One row for each message, both ways.
create table message (
    id bigint primary key,
    tenant_id bigint not null,
    -- 'out' to a phone, 'in' from one
    direction text not null,
    state text not null,
    account_id bigint,
    connection_id bigint,
    sender text not null,
    sender_kind bigint not null,
    recipient text not null,
    recipient_kind bigint not null,
    text text,
    -- the octets in hex, where the text in its coding does not give them back exactly
    octets text,
    data_coding bigint not null,
    parts bigint not null,
    intent text not null,
    lane bigint not null,
    registered bigint not null,
    client_ref text,
    -- what is seldom asked for, as JSON: see Options
    options text,
    -- how the route was chosen, as JSON
    why text,
    attempts bigint not null,
    -- whether it may have reached the carrier more than once
    maybe_twice boolean not null,
    error text,
    accepted_at bigint not null,
    expires_at bigint not null,
    updated_at bigint not null,
    done_at bigint,
    -- when something must be done about it next; null when it has come to its end
    wake_at bigint
);
create index message_tenant on message (tenant_id, id);
create index message_wake on message (wake_at) where wake_at is not null;
create index message_unknown on message (connection_id, recipient) where state = 'indeterminate';

-- One row for each part that a carrier has answered for.
create table part (
    message_id bigint not null,
    part bigint not null,
    -- a part sent again has a row for each time, since either id may be receipted
    attempt bigint not null,
    tenant_id bigint not null,
    connection_id bigint not null,
    -- the carrier's id, and the form of it that receipts are matched by
    provider_id text,
    provider_key text,
    state text not null,
    error text,
    sent_at bigint not null,
    done_at bigint,
    primary key (message_id, part, attempt)
);
create index part_provider on part (connection_id, provider_key);

-- What went before on a message's way, beyond the last answer: refusals, time-outs, retries, late answers.
create table attempt (
    id bigint primary key,
    tenant_id bigint not null,
    message_id bigint not null,
    part bigint not null,
    connection_id bigint,
    at bigint not null,
    outcome text not null
);
create index attempt_message on attempt (tenant_id, message_id);

-- Messages that are about to leave, written before they do. One row holds many, so that the hot path pays once a
-- batch. What stands here at start-up without an answer may, or may not, have left.
create table claim (
    id bigint primary key,
    connection_id bigint not null,
    at bigint not null,
    messages text not null
);

-- Receipts that match no message yet: the carrier's receipt can overtake its own response.
create table held_receipt (
    id bigint primary key,
    tenant_id bigint not null,
    connection_id bigint not null,
    provider_key text not null,
    -- the phone that it speaks of, and the sender that it is for
    phone text not null,
    sender text not null,
    receipt text not null,
    received_at bigint not null,
    expires_at bigint not null
);
create index held_receipt_key on held_receipt (connection_id, provider_key);

-- Receipts and inbound messages that a customer's system has not taken yet.
create table push (
    id bigint primary key,
    tenant_id bigint not null,
    account_id bigint not null,
    message_id bigint not null,
    -- 'receipt' or 'message'
    kind text not null,
    state text not null,
    error text,
    at bigint not null,
    expires_at bigint not null
);
create index push_account on push (account_id, id);

-- Sums kept with the changes themselves. bucket 0: messages in each state now; else a minute: what happened in it.
create table tally (
    tenant_id bigint not null,
    bucket bigint not null,
    name text not null,
    n bigint not null,
    primary key (tenant_id, bucket, name)
);

-- Parts of long inbound messages that wait for the rest of theirs.
create table inbound_part (
    id bigint primary key,
    tenant_id bigint not null,
    connection_id bigint not null,
    sender text not null,
    recipient text not null,
    reference bigint not null,
    total bigint not null,
    part bigint not null,
    data_coding bigint not null,
    octets text not null,
    received_at bigint not null
);
create unique index inbound_part_key on inbound_part (connection_id, sender, recipient, reference, total, part);
