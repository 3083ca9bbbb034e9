-- Which tenant is the installation's own: one that is restored here may be older.
alter table tenant add column platform boolean not null default false;
update tenant set platform = true where id = (select min(id) from tenant);

-- Tenants that leave in a file, or come in one. The rows are the platform's, and outlive their tenant.
create table suitcase (
    id bigint primary key,
    -- Of one that comes it is known when it is opened.
    tenant bigint,
    direction text not null,
    state text not null,
    asked_by text not null,
    asked_at bigint not null,
    -- One that leaves: the tenant was shut before. One that comes: it is opened behind.
    switched boolean not null,
    public_key text,
    -- The key of the file, wrapped by the root key, until the work is done. The passphrase is nowhere.
    key_wrapped text,
    rows_done bigint not null,
    at_table text,
    bytes bigint not null,
    manifest text,
    problem text,
    ended_at bigint,
    file_until bigint
);

create index suitcase_tenant on suitcase (tenant, id);
create index suitcase_open on suitcase (id) where state in ('waits', 'working', 'arriving');
create index suitcase_file on suitcase (file_until) where file_until is not null;
