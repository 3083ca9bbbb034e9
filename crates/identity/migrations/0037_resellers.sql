-- Tenants beneath a tenant. Null is the root: directly beneath the installation, whose own tenant stands above all.
alter table tenant add column parent bigint references tenant (id);
-- Whether it may have tenants beneath it.
alter table tenant add column reseller boolean not null default false;
-- The tenant whose people suspended it; null where the platform did.
alter table tenant add column suspended_by bigint;

create index tenant_parent on tenant (parent);
