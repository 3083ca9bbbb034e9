-- The last sequence number that each tenant's stream has given out.
create table event_head (
    tenant_id bigint primary key,
    seq bigint not null
);

-- The stream. One row holds what one transaction did to one tenant: events first_seq .. last_seq as a JSON array,
-- so that a batch of the data plane costs one row and not one for each message.
create table event_page (
    tenant_id bigint not null,
    last_seq bigint not null,
    first_seq bigint not null,
    at bigint not null,
    actor text not null,
    request_id text,
    from_address text,
    audited boolean not null,
    events text not null,
    primary key (tenant_id, last_seq)
);

create index event_page_audit on event_page (tenant_id, last_seq) where audited;

-- The first answer to each keyed request, given again to its repetitions.
create table idempotency (
    tenant_id bigint not null,
    key text not null,
    request_hash text not null,
    status bigint not null,
    body text not null,
    at bigint not null,
    primary key (tenant_id, key)
);

create index idempotency_age on idempotency (at);
