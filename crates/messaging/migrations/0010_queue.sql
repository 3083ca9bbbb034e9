-- What is accepted and kept until somebody lets it go on.
create table pause (
    id bigint primary key,
    tenant_id bigint not null,
    -- 'tenant', 'connection', 'account', 'route' or 'intent'
    kind text not null,
    -- the record's id, the intent's lane; 0 for the API as an account, and for the tenant
    target bigint not null,
    reason text not null,
    actor text not null,
    created_at bigint not null
);
create unique index pause_scope on pause (tenant_id, kind, target);

-- The pause that a message waits for.
alter table message add column paused_by bigint;
create index message_paused on message (paused_by) where paused_by is not null;

-- What came to an end without reaching a phone.
create index message_dead on message (tenant_id, id) where state in ('failed', 'rejected', 'expired');

-- Which message was sent again as which: once for each.
create table redrive (
    tenant_id bigint not null,
    message_id bigint not null,
    new_id bigint not null,
    at bigint not null,
    primary key (tenant_id, message_id)
);
create index redrive_new on redrive (tenant_id, new_id);
