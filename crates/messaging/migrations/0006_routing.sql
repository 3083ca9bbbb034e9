-- The number of a tenant's newest version of its routes. Its row is the lock that changes of routes take turns by.
create table route_head (
    tenant_id bigint primary key,
    number bigint not null
);

-- A tenant's routes as they stood after each change.
create table route_version (
    id bigint primary key,
    tenant_id bigint not null,
    number bigint not null,
    at bigint not null,
    actor text not null,
    comment text not null,
    -- how many routes there are
    n bigint not null,
    -- the routes, as JSON: see Staged
    routes text not null
);
create unique index route_version_number on route_version (tenant_id, number);

-- Routes that are being worked on and that no message follows yet.
create table route_draft (
    tenant_id bigint primary key,
    -- the number of the version that it began from
    base bigint not null,
    changed_at bigint not null,
    actor text not null,
    -- as in route_version
    routes text not null
);

-- Which network numbers are of, by their beginning: what the tenant has imported.
create table number_plan (
    tenant_id bigint not null,
    prefix text not null,
    mcc text not null,
    mnc text not null,
    name text not null,
    country text not null,
    primary key (tenant_id, prefix)
);

-- A service that knows which network a number is of.
create table lookup_provider (
    id bigint primary key,
    tenant_id bigint not null,
    name text not null,
    active boolean not null,
    -- request, answer and bounds, as JSON: see LookupSettings
    settings text not null,
    -- headers that are secret, as sealed JSON
    headers_sealed text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index lookup_provider_name on lookup_provider (tenant_id, name);

-- What such services have answered.
create table lookup_answer (
    tenant_id bigint not null,
    number text not null,
    provider_id bigint not null,
    -- as JSON: see Known
    answer text not null,
    at bigint not null,
    expires_at bigint not null,
    primary key (tenant_id, number)
);
create index lookup_answer_age on lookup_answer (expires_at);
