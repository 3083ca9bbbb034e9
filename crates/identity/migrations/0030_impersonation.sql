-- Times in which somebody acts as another user. It belongs to a session of the one who acts, and ends with it.
create table impersonation (
    id bigint primary key,
    tenant_id bigint not null,
    -- as whom
    user_id bigint not null references users (id),
    -- who
    by_user bigint not null references users (id),
    session_id bigint not null,
    reason text not null,
    started_at bigint not null,
    ends_at bigint not null,
    ended_at bigint,
    -- who ended it; null when it ended by itself
    ended_by text
);

-- One at a time for a session: two requests at once do not begin two.
create unique index impersonation_session on impersonation (session_id) where ended_at is null;
create index impersonation_user on impersonation (tenant_id, user_id, id);
create index impersonation_open on impersonation (ends_at) where ended_at is null;

-- Whether a user is told by mail when somebody acts as them.
alter table sign_in_policy add column impersonation_mails boolean not null default true;
