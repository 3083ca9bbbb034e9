-- Numbers and short codes that phones write to.
create table inbound_number (
    id bigint primary key,
    tenant_id bigint not null,
    -- digits without +
    number text not null,
    -- only what comes through this connection; 0 for any
    connection_id bigint not null,
    name text not null,
    active boolean not null,
    -- keywords and what becomes of messages, as JSON: see NumberRule
    rule text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index inbound_number_number on inbound_number (tenant_id, number, connection_id);

-- When a phone was last answered by a rule, so that two machines do not talk to each other for ever.
create table inbound_reply (
    tenant_id bigint not null,
    number_id bigint not null,
    rule text not null,
    phone text not null,
    -- the message that was answered
    message_id bigint not null,
    at bigint not null,
    primary key (tenant_id, number_id, rule, phone)
);
create index inbound_reply_age on inbound_reply (at);

-- Phones that do not want to be written to.
create table opt_out (
    id bigint primary key,
    tenant_id bigint not null,
    -- digits without +
    phone text not null,
    -- 'number', 'marketing' or 'all'
    scope text not null,
    -- the sender that it is about, or the number that was written to; empty for none
    number text not null,
    -- what the phone wrote; empty where somebody else put it on the list
    word text not null,
    source text not null,
    message_id bigint,
    at bigint not null
);
create unique index opt_out_phone on opt_out (tenant_id, phone, scope, number);
create index opt_out_tenant on opt_out (tenant_id, id);

-- Phones that have written, with the newest message of each.
create table conversation (
    tenant_id bigint not null,
    phone text not null,
    last_id bigint not null,
    -- up to which message somebody has read
    read_id bigint not null,
    primary key (tenant_id, phone)
);
create index conversation_last on conversation (tenant_id, last_id);

-- Both directions of a conversation.
create index message_from on message (tenant_id, sender, id) where direction = 'in';
create index message_to on message (tenant_id, recipient, id) where direction = 'out';
