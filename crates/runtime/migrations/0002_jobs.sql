-- Work that must be done though the process dies. A job is leased while it runs; a lease that runs out gives it to another.
create table job (
    id bigint primary key,
    tenant_id bigint not null,
    kind text not null,
    payload text not null,
    run_at bigint not null,
    attempts bigint not null,
    leased_until bigint not null,
    dead boolean not null,
    last_error text
);

create index job_due on job (run_at) where not dead;
create index job_tenant on job (tenant_id, id);
