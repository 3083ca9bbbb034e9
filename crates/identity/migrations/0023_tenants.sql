-- What a tenant says of itself, and how it looks.
-- ISO 4217
alter table tenant add column currency text not null default 'USD';
-- where its people ask for help
alter table tenant add column support_email text;
-- its colour, rrggbb
alter table tenant add column accent text;
-- SHA-256 of its logo
alter table tenant add column logo text;

create table tenant_logo (
    tenant_id bigint primary key references tenant (id),
    -- what its address is made of
    sha256 text not null,
    media_type text not null,
    octets bytea not null,
    changed_at bigint not null
);

create index tenant_logo_sha256 on tenant_logo (sha256);

-- Hosts of a tenant's own. Anybody may name a host; whoever proves it has it.
create table domain (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    -- in lower case, without a port
    host text not null,
    -- what must stand in the file that proves it; no secret
    token text not null,
    created_at bigint not null,
    checked_at bigint,
    -- why the last check found no proof
    problem text,
    proved_at bigint
);

create unique index domain_of_tenant on domain (tenant_id, host);
create unique index domain_host on domain (host) where proved_at is not null;
