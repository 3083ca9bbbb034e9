-- Directories (LDAP) that people of a tenant sign in with.
create table directory (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    name text not null,
    -- Whether people can sign in with it, and users follow it.
    active boolean not null,
    -- The password that we ask it with, sealed; null where it is asked without one.
    bind_password_sealed text,
    -- What else is set, as JSON: see DirectorySettings.
    settings text not null,
    revision bigint not null,
    -- When it is read next; null where it is read on demand alone.
    read_next_at bigint,
    created_at bigint not null,
    changed_at bigint not null
);

create unique index directory_name on directory (tenant_id, name);
create index directory_due on directory (read_next_at) where read_next_at is not null;

-- Whose people a domain of e-mail addresses leads to, over all tenants: the sign-in page asks before anybody is known.
create table directory_domain (
    domain text primary key,
    tenant_id bigint not null,
    directory_id bigint not null references directory (id)
);

create index directory_domain_directory on directory_domain (directory_id);

-- Which entry of a directory a user is.
create table directory_person (
    directory_id bigint not null references directory (id),
    -- The entry's own id, which stays when it is renamed or moved.
    entry text not null,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    -- Where the entry stood when it was last seen.
    dn text not null,
    tied_at bigint not null,
    -- Since when the user is shut out because the directory has them no longer; null while it has.
    left_at bigint,
    primary key (directory_id, entry)
);

create unique index directory_person_user on directory_person (user_id);
create index directory_person_tenant on directory_person (tenant_id, user_id);

-- Readings of a directory: those that run, and the last ones that ended.
create table directory_run (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    directory_id bigint not null references directory (id),
    -- Whether it only says what it would change.
    dry boolean not null,
    -- waiting, running, done, held, failed.
    state text not null,
    asked_by text not null,
    -- The most users that somebody has said may go; null for the directory's own bound.
    leavers_max bigint,
    started_at bigint not null,
    ended_at bigint,
    -- People read so far.
    entries bigint not null,
    -- What it has changed or would change, as JSON: see RunOutcome.
    outcome text not null
);

create index directory_run_directory on directory_run (tenant_id, directory_id, id);
