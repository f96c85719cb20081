/* fastcontainer: where does this container run? One question for every request, answered within it.
 *
 * The header is the specification. What holds for all of it:
 *
 * Threads: an engine, and all that is made from it, belongs to one thread, the one that runs its event loop.
 * Three functions may be called from any thread: fc_engine_wake(), fc_op_complete() and
 * fc_engine_set_scores(). Engines are made after fork().
 *
 * Callbacks: run inside fc_engine_process() and fc_engine_destroy() only, never inside the call that
 * submitted the work; once for each operation, or never after fc_cancel() returned FC_OK. Any function but
 * fc_engine_destroy() and fc_engine_process() may be called from a callback. Vtable functions that return an
 * answer (policy, hooks) run where the engine needs the answer, and may call nothing but fc_op_complete().
 * Those that begin an operation (CMDB, runtime) run inside fc_engine_process() only. No callback may throw.
 *
 * user_data: of an operation's callback it is the caller's again when the callback has run (of a watch: with
 * an error, which ends it), when fc_cancel() or fc_prober_cancel() has returned FC_OK, and when the call that
 * was to begin the operation has returned anything but FC_PENDING. Of on_lost: when the ticket has ended, or
 * there is none. Of all the rest (the log, what a prober has open): when fc_engine_destroy() or
 * fc_prober_destroy() has returned.
 *
 * Errors: functions return FC_OK (0), FC_PENDING (1), a count, or a negative FC_E_ code. Codes are never
 * reused. Where there is an `fc_error *error` it may be NULL; otherwise it is the caller's and gets code and
 * message.
 *
 * Memory: strings are pointer + length, UTF-8, and are copied if they are kept. What a callback is given is
 * valid until it returns, unless said otherwise. A vtable is copied; its `destroy` runs once, when the engine
 * or dispatcher that took it is destroyed, and not if the call that was to take it failed.
 *
 * Structs: options, vtables, and structs that the caller provides for output start with struct_size. Set it
 * by the *_init() function, or to sizeof. Newer fields come at the end; an unknown tail that is not zero is
 * FC_E_INVALID. Enumerated fields are int32_t or uint32_t.
 *
 * Time: durations are uint64_t nanoseconds; 0 means the default. Points are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef FASTCONTAINER_H
#define FASTCONTAINER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#if defined(FC_BUILDING_LIBRARY) && defined(__GNUC__)
#define FC_API __attribute__((visibility("default")))
#else
#define FC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FC_VERSION_MAJOR 0
#define FC_VERSION_MINOR 1
#define FC_VERSION_PATCH 0

/* ---- results ------------------------------------------------------------------------------------------- */

#define FC_OK 0
#define FC_PENDING 1

#define FC_E_INVALID (-1) /* an argument, option or record is wrong; the message names the field */
#define FC_E_NOMEM (-2)
#define FC_E_SYSTEM (-3)      /* a system call failed; the message names it */
#define FC_E_NOT_FOUND (-4)   /* no such operation, ticket, record or host */
#define FC_E_UNKNOWN_KEY (-5) /* the CMDB knows no container for this key: HTTP 404 */
#define FC_E_NO_HOST (-6)     /* no host fits, or none that answers: HTTP 503 */
#define FC_E_CMDB (-7)        /* the CMDB does not answer and the cache does not suffice: HTTP 503 */
#define FC_E_START_FAILED \
  (-8) /* the container does not start; retry_after_ns says when it will be tried again: 503 */
#define FC_E_QUEUE_FULL (-9)       /* too many requests wait already: HTTP 503 */
#define FC_E_TIMEOUT (-10)         /* waited as long as allowed: HTTP 504 */
#define FC_E_UNSAFE (-11)          /* the request must not be sent again: HTTP 502 */
#define FC_E_ISOLATED (-12)        /* this process has lost its own network; nothing is relocated: HTTP 503 */
#define FC_E_BUDGET (-13)          /* the relocation budget is used up: HTTP 503 */
#define FC_E_SHUTDOWN (-14)        /* the engine is being destroyed */
#define FC_E_CONFLICT (-15)        /* compare-and-set: the record has changed */
#define FC_E_UNKNOWN_OUTCOME (-16) /* the CMDB may or may not have applied it */
#define FC_E_UNSUPPORTED (-17)     /* known by name, but not offered by this version */
#define FC_E_PERMISSION (-18)
#define FC_E_EXISTS (-19)
#define FC_E_VETO (-20) /* a hook said no */

typedef struct fc_error {
  uint32_t struct_size;
  int32_t code;
  uint64_t retry_after_ns; /* when it makes sense to try again; 0: unknown */
  char message[240];       /* NUL-terminated */
} fc_error;
#define FC_ERROR_INIT             \
  {                               \
    sizeof(fc_error), 0, 0, { 0 } \
  }

typedef struct fc_str {
  const char* data; /* need not end with NUL */
  size_t length;
} fc_str;

/* "FC_E_TIMEOUT" for -10; static storage, never NULL. Any thread. */
FC_API const char* fc_code_name(int32_t code);
/* "0.1.0"; static storage. Any thread. */
FC_API const char* fc_version(void);

typedef struct fc_engine fc_engine;
typedef struct fc_dispatcher fc_dispatcher;
typedef uint64_t
    fc_op; /* an operation in progress; carries a generation, so that a late cancel is harmless; 0: none */

/* ---- extension points ---------------------------------------------------------------------------------- */

#define FC_LOG_DEBUG 0
#define FC_LOG_INFO 1
#define FC_LOG_WARNING 2
#define FC_LOG_ERROR 3
/* One line without a newline. Loop's thread. */
typedef void (*fc_log_fn)(void* user_data, int32_t level, fc_str component, fc_str message);

/* Bits of fc_host_table.flags */
#define FC_HOST_ADMIN_UP 1u
#define FC_HOST_REACHABLE 2u
#define FC_HOST_FRESH 4u
#define FC_HOST_OVERLOADED 8u
#define FC_HOST_SERVICE_DOWN 16u

/* All hosts, column-wise, sorted by id: each pointer is an array of `size`, valid during the call (or as long
 * as its fc_hosts). */
typedef struct fc_host_table {
  uint32_t struct_size;
  uint32_t size;
  const uint64_t* id_hash; /* XXH3-64 of the host's id */
  const fc_str* id;
  const fc_str* zone;        /* label "zone" */
  const uint32_t* flags;     /* FC_HOST_ */
  const float* free_cpu;     /* cores; +inf if never reported */
  const double* free_memory; /* bytes; +inf if never reported */
  const uint32_t* running;   /* containers, as last reported */
  const uint32_t* starting;
  const uint32_t* in_flight; /* this process's open tickets */
  const float* response_ms;  /* this process's moving average; 0 if none */
  const float* error_rate;   /* 0..1 */
  const float* rtt_ms;       /* 0 if never probed */
  const float* report_age_s; /* +inf if never reported */
} fc_host_table;

typedef struct fc_place_request {
  uint32_t struct_size;
  uint32_t replica;
  fc_str container;
  uint64_t container_hash;
  double cpu;        /* cores the spec asks for; 0: none */
  double memory;     /* bytes; 0: none */
  fc_str avoid_host; /* the host that is being left; must not be returned */
  fc_str class_name; /* of the container's spec; empty: none */
} fc_place_request;

/* Placement. `place` writes rows of `hosts`, best first, to `candidates` (room for `capacity`) and returns
 * how many, or a negative code: then, and where a row is out of range or repeated, a score table
 * (fc_engine_set_scores(), or a published one) or else the built-in policy decides, and it is counted and
 * logged (at most once a second). FC_E_UNSUPPORTED leaves this choice to them, which is no fault. Must not
 * block: it runs within a request. */
typedef struct fc_policy_vtable {
  uint32_t struct_size;
  uint32_t reserved;
  int32_t (*place)(void* user_data, const fc_place_request* request, const fc_host_table* hosts,
                   uint32_t* candidates, uint32_t capacity);
  void (*destroy)(void* user_data); /* may be NULL */
} fc_policy_vtable;

/* For bindings to languages that cannot end what refers to an array. Within `place`, with its `hosts`: the
 * columns of numbers, but no strings, stay where and as they are until the release, which any thread may
 * call. NULL: there is no memory for it. */
typedef struct fc_columns fc_columns;
FC_API fc_columns* fc_host_table_keep(const fc_host_table* hosts);
FC_API void fc_columns_release(fc_columns* columns); /* NULL is a no-op */

#define FC_HOOK_BEFORE_PLACE 1u
#define FC_HOOK_AFTER_PLACE 2u
#define FC_HOOK_BEFORE_RELOCATE 3u
#define FC_HOOK_AFTER_RELOCATE 4u
#define FC_HOOK_BEFORE_START 5u
#define FC_HOOK_AFTER_START 6u
#define FC_HOOK_READY 7u
#define FC_HOOK_IDLE 8u
#define FC_HOOK_BEFORE_STOP 9u
#define FC_HOOK_AFTER_STOP 10u
#define FC_HOOK_RESIZED 11u
#define FC_HOOK_HOST_DOWN 12u
#define FC_HOOK_HOST_UP 13u
#define FC_HOOK_FENCE 14u

typedef struct fc_hook_event {
  uint32_t struct_size;
  uint32_t point; /* FC_HOOK_ */
  fc_str container;
  fc_str host;      /* where it is going to be, or the host concerned */
  fc_str from_host; /* relocations */
  fc_str reason;
  uint64_t epoch;
  uint32_t replica;
  uint32_t reserved;
} fc_hook_event;

/* `event` returns FC_OK, or FC_E_VETO, which counts for FENCE and the points BEFORE_*: a vetoed placement or
 * relocation tries the next candidate, a vetoed start fails, a vetoed stop is tried again after the idle
 * time. FENCE comes before a copy of a container with "writers":"single" is started at `epoch`: the storage
 * is to be told to refuse writes of lower epochs from now on (the copy has its own in $EPOCH); FC_E_VETO if
 * it was not told, and the copy is not started. Must not block. */
typedef struct fc_hooks_vtable {
  uint32_t struct_size;
  uint32_t reserved;
  int32_t (*event)(void* user_data, const fc_hook_event* event);
  void (*destroy)(void* user_data); /* may be NULL */
} fc_hooks_vtable;

typedef struct fc_record {
  fc_str key;
  fc_str value;
  uint64_t revision; /* 0: the key is absent */
} fc_record;

typedef struct fc_compare {
  fc_str key;
  uint64_t revision; /* 0: true if the key is absent */
} fc_compare;

#define FC_PUT 1u
#define FC_DELETE 2u
typedef struct fc_mutation {
  uint32_t kind; /* FC_PUT, FC_DELETE */
  uint32_t reserved;
  fc_str key;
  fc_str value;
  uint64_t lease; /* FC_PUT: the key goes when this lease ends; 0: none */
} fc_mutation;

#define FC_WATCH_PUT 1u
#define FC_WATCH_DELETE 2u
#define FC_WATCH_PROGRESS 3u
#define FC_WATCH_RESYNC 4u /* events were lost: list again and watch from there */
#define FC_WATCH_DISCONNECTED 5u
#define FC_WATCH_CONNECTED 6u

/* How an operation of a vtable ends: fill in what its comment asks for. */
typedef struct fc_result {
  uint32_t struct_size;
  int32_t code;        /* FC_OK or an error */
  uint32_t watch_kind; /* FC_WATCH_ for an event of a watch, which does not end the watch */
  uint32_t record_count;
  const fc_record* records; /* get: one; list: the page; txn in conflict: one for each compare; watch: one */
  uint64_t revision;        /* list: of the store; txn: of the write; watch: of the event */
  fc_str next;              /* list: where the next page starts; empty at the end */
  fc_str message;           /* of an error; of an instance's exit */
  uint64_t lease;           /* of an operation on a lease, with its ttl */
  uint64_t lease_ttl_ns;
} fc_result;

/* Ends operation `op` (or delivers one event of a watch); copies what it needs. Any thread, also inside the
 * vtable's own call: the engine defers. FC_E_NOT_FOUND: there is no such operation (any more), which is no
 * fault. The engine must not be destroyed at the same time. */
FC_API int32_t fc_op_complete(fc_engine* engine, fc_op op, const fc_result* result);

/* A CMDB of one's own. Each function starts `op` and returns at once; fc_op_complete() ends it, exactly once
 * unless `cancel` is called first. A negative return ends it at once with that code. Codes for fc_result:
 * FC_OK, FC_E_CMDB (certainly not applied), FC_E_CONFLICT (of a list: the revision of the page is gone),
 * FC_E_UNKNOWN_OUTCOME, FC_E_NOT_FOUND (txn: a put's lease has ended, and nothing was applied; lease_keep,
 * lease_revoke: it has ended). A watch that ends with an error is begun again after a second. Without the
 * three functions of leases, all or none, who needs leases gets FC_E_UNSUPPORTED; all others but `destroy`
 * are required. */
typedef struct fc_cmdb_vtable {
  uint32_t struct_size;
  uint32_t reserved;
  /* One record; absent is FC_OK with revision 0. */
  int32_t (*get)(void* user_data, fc_op op, fc_str key, int32_t linearizable);
  /* Keys with `prefix` that sort after `after`, at most `limit` (0: any), as of `at_revision` (0: now). */
  int32_t (*list)(void* user_data, fc_op op, fc_str prefix, fc_str after, uint64_t at_revision,
                  uint32_t limit);
  /* All mutations at one revision if all compares hold; in conflict one record for each compare. `deadline`:
   * CLOCK_MONOTONIC ns, never 0; when it passes first the outcome is taken to be unknown, and `cancel` is
   * called. */
  int32_t (*txn)(void* user_data, fc_op op, const fc_compare* compares, uint32_t compare_count,
                 const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline);
  /* Events with a revision > `after_revision`, in order, until cancelled. */
  int32_t (*watch)(void* user_data, fc_op op, fc_str prefix, uint64_t after_revision);
  void (*cancel)(void* user_data, fc_op op);
  void (*destroy)(void* user_data); /* may be NULL */
  /* A lease that ends `ttl_ns` from now; its keys are then deleted. The answer is the lease and its ttl,
   * which may be rounded up. No answer within 5 s is taken for FC_E_CMDB, and `cancel` is called. */
  int32_t (*lease_grant)(void* user_data, fc_op op, uint64_t ttl_ns);
  /* It ends its ttl from now. */
  int32_t (*lease_keep)(void* user_data, fc_op op, uint64_t lease);
  /* It ends now. */
  int32_t (*lease_revoke)(void* user_data, fc_op op, uint64_t lease);
} fc_cmdb_vtable;

typedef struct fc_start_request {
  uint32_t struct_size;
  uint32_t replica;
  fc_str instance; /* names this start, unique for ever */
  fc_str container;
  fc_str spec_json; /* as it is in the CMDB, class defaults merged */
  fc_str spec_revision;
  uint64_t epoch;
  const struct sockaddr* address; /* where the container is to listen */
  uint32_t address_length;
  uint32_t prepared; /* 1: its present host is suspected, and nobody has placed it here yet */
} fc_start_request;

/* A runtime of one's own, for a dispatcher. As with fc_cmdb_vtable, fc_op_complete() ends each operation. */
typedef struct fc_runtime_vtable {
  uint32_t struct_size;
  uint32_t reserved;
  /* Ends when the container is ready: FC_OK; or when nothing of it is left: FC_E_START_FAILED with a message.
   */
  int32_t (*start)(void* user_data, fc_op op, const fc_start_request* request);
  /* Ends when nothing of it is left: FC_OK; FC_E_NOT_FOUND. */
  int32_t (*stop)(void* user_data, fc_op op, fc_str instance, uint64_t grace_ns);
  /* Optional. What an earlier incarnation left running: records with key = instance, value = JSON
   * {"container", "replica","epoch","spec_revision","address","ready"}. */
  int32_t (*recover)(void* user_data, fc_op op);
  /* Optional. Called once; each event of `op` (watch_kind FC_WATCH_DELETE, one record with key = instance,
   * message = the reason) says that a ready instance has ended by itself. */
  int32_t (*watch_exits)(void* user_data, fc_op op);
  void (*destroy)(void* user_data); /* may be NULL */
} fc_runtime_vtable;

/* ---- engine -------------------------------------------------------------------------------------------- */

#define FC_PROFILE_DEFAULT 0u
#define FC_PROFILE_PAPER \
  1u /* one ICMP packet, no hedge, freshness zero, solo: for comparison with the literature */

/* What must be known of a host that does not answer before its containers are moved,
 * fc_engine_options.admission */
#define FC_ADMISSION_DEFAULT 0u /* confirm where there are peers, solo where there are none */
#define FC_ADMISSION_SOLO 1u    /* own evidence, whatever peers there are */
#define FC_ADMISSION_CONFIRM 2u /* no peer reaches it, and `confirm` of them say so; needs peers */
#define FC_ADMISSION_HEARTBEAT                                                                             \
  3u /* its dispatcher's lease in the CMDB has ended, up to 10 s after its last renewal: requests wait for \
        that up to their deadline, and then get FC_E_NO_HOST. Needs a CMDB with leases */

typedef struct fc_engine_options {
  uint32_t struct_size;
  uint32_t profile;           /* FC_PROFILE_ */
  fc_str name;                /* of this proxy or host in records and logs, and to dispatchers: no two engines
                                 that run at once may share it; empty: the machine's name and the pid */
  fc_str cmdb_url;            /* "memory:NAME", "sqlite:/path", "etcd://...", "postgresql://..."; or `cmdb` */
  const fc_cmdb_vtable* cmdb; /* instead of cmdb_url */
  void* cmdb_user_data;
  fc_str cluster_key_file; /* 64 hex digits (32 bytes) a line, one or two lines: all sign with the first;
                              empty: no key, and only loopback addresses are spoken to */
  fc_str bind_address;     /* numeric, of the dispatch protocol's socket, with a port if others name it as
                              a peer; empty: any address if there is a
                              key, else 127.0.0.1 */
  const fc_policy_vtable* policy; /* NULL: score tables, and keyed_choices where there are none */
  void* policy_user_data;
  const fc_hooks_vtable* hooks; /* may be NULL */
  void* hooks_user_data;
  fc_log_fn log; /* may be NULL */
  void* log_user_data;
  const fc_str* witnesses; /* numeric addresses that answer ICMP if my own network works */
  uint32_t witness_count;
  uint32_t queue_per_container;    /* requests that may wait; default 1,000 */
  uint32_t queue_total;            /* default 10,000 */
  uint32_t relocations_per_second; /* budget of this process; default 100 */
  uint32_t relocation_burst;       /* default 1,000 */
  uint32_t no_relocation;          /* not 0: route, but never write a placement (a reader) */
  uint32_t no_prepare;             /* not 0: no host starts a container while its present one is only
                                      suspected to be lost */
  uint32_t confirm;                /* peers that must agree that a host is gone; default 1 */
  uint64_t wait_ns;                /* a request waits at most so long; default 30 s */
  uint64_t start_ns;               /* a start may take so long and outlives its first caller; default 90 s */
  uint64_t freshness_ns;           /* a host heard from within this time is not probed; default 10 ms */
  uint64_t guard_ns; /* a host silent for so long while a response is awaited is probed; default 10 ms */
  uint64_t service_deadline_ns; /* a dispatcher's answer may take so long; default 100 ms */
  const fc_str* peers; /* other routers: numeric addresses with the ports of their bind_address. One that
                          reaches a host which this engine does not stops a relocation */
  uint32_t peer_count;
  uint32_t admission;   /* FC_ADMISSION_ */
  fc_str snapshot_path; /* a file with what is known of the CMDB, for a start while the CMDB is away; written
                           now and then and by fc_engine_destroy(); empty: none */
  uint64_t snapshot_every_ns; /* default 5 min */
  uint32_t no_scores;         /* not 0: score tables that are published in the CMDB are not read */
  uint32_t reserved;
} fc_engine_options;

FC_API void fc_engine_options_init(fc_engine_options* options);

/* Makes an engine on the calling thread. FC_E_INVALID, FC_E_SYSTEM, FC_E_CMDB (cannot be opened; the message
 * says why), FC_E_NOT_FOUND (no key file), FC_E_PERMISSION (key file, or a bind address that needs a key).
 * That ICMP is not permitted is no error: it is logged, and hosts are judged by their dispatchers alone. */
FC_API int32_t fc_engine_create(fc_engine** out, const fc_engine_options* options, fc_error* error);

/* The one descriptor to poll for input, level- or edge-triggered. It stays the engine's. */
FC_API int fc_engine_fd(const fc_engine* engine);

/* When the engine next has something to do by itself; UINT64_MAX: never. For hosts that sleep by a time-out
 * of their own: the descriptor becomes readable then anyway. */
FC_API uint64_t fc_engine_deadline(const fc_engine* engine);

/* Does what is ready, runs at most `max_callbacks` of the loop's callbacks (0: as many as are ready) and
 * returns how many ran: timers, datagrams and completions, the engine's own as well; one that answers several
 * requests counts once. If work is left the descriptor gets a new edge. Never blocks. FC_E_INVALID: called
 * from a callback. */
FC_API int32_t fc_engine_process(fc_engine* engine, int32_t max_callbacks);

/* Makes the descriptor readable. Any thread. */
FC_API void fc_engine_wake(fc_engine* engine);

/* Reads cluster_key_file again, at once: for a change of the key without a restart (docs/protocol.md, "A new
 * cluster key"). Nothing is lost or asked anew; leases and tickets go on. On an error the keys in use stay:
 * FC_E_INVALID (the engine was made without a key file; its contents: the message names the line and what is
 * accepted), FC_E_NOT_FOUND (no such file), FC_E_PERMISSION. */
FC_API int32_t fc_engine_reload_keys(fc_engine* engine, fc_error* error);

/* Ends everything: each operation in progress has its callback run with FC_E_SHUTDOWN. Open tickets are over.
 * What such a callback begins is refused with FC_E_SHUTDOWN. Dispatchers of this engine must have been
 * destroyed. NULL is a no-op. */
FC_API void fc_engine_destroy(fc_engine* engine);

/* FC_OK: the callback of `op` will never run. FC_E_NOT_FOUND: it has run, or never was. */
FC_API int32_t fc_cancel(fc_engine* engine, fc_op op);

/* ---- placement off the loop's thread ------------------------------------------------------------------- */

/* A policy that takes its time, in another thread or another process, says in advance how good each host is:
 * a placement is then a look-up. The order of hosts for a container is that of the engine's policy, if it has
 * one that decides; else of a table of fc_engine_set_scores(), if one is in force; else of the table that is
 * published in the CMDB (FC_RECORD_SCORES); else, where that is missing or old, of the built-in policy. */

/* The hosts as they are now. */
typedef struct fc_hosts fc_hosts;

/* A copy of the host table, the caller's. FC_OK; FC_E_SHUTDOWN. The loop's thread; the two below any. */
FC_API int32_t fc_engine_hosts(fc_engine* engine, fc_hosts** out);
/* The same at each call, until the release. */
FC_API const fc_host_table* fc_hosts_table(const fc_hosts* hosts);
FC_API void fc_hosts_release(fc_hosts* hosts); /* NULL is a no-op */

/* Gives this engine, and no other, a score table for the containers of one class; empty (or "*"): of every
 * class without a table here, and of none. It takes the place of the one before, and is in force for
 * `valid_ns` from now (0: 30 s). scores[i] is of hosts[i]: the higher the better; NaN or -infinity: not this
 * host. Hosts without a score come after those with one, and equal ones among each other, in the built-in
 * policy's order; whatever the scores, hosts that are down, do not fit, or are administered down or drained
 * are left out, and overloaded ones come last. `count` 0: the table is removed. Everything is copied. FC_OK;
 * FC_E_INVALID (a host twice); FC_E_NOMEM. Any thread; the engine must not be destroyed at the same time. */
FC_API int32_t fc_engine_set_scores(fc_engine* engine, fc_str class_name, const fc_str* hosts,
                                    const double* scores, uint32_t count, uint64_t valid_ns, fc_error* error);

/* ---- routing ------------------------------------------------------------------------------------------- */

/* What made the route, fc_ticket.reason */
#define FC_ROUTE_LEASE 1u     /* a lease in hand */
#define FC_ROUTE_ACQUIRED 2u  /* asked the dispatcher; the container was running */
#define FC_ROUTE_STARTED 3u   /* waited for the container to start */
#define FC_ROUTE_RELOCATED 4u /* its host was gone: moved, within this request */
#define FC_ROUTE_PLACED 5u    /* its first placement */

typedef struct fc_ticket {
  uint32_t struct_size;
  uint32_t reason;                /* FC_ROUTE_ */
  uint64_t id;                    /* for the calls below; 0: no ticket */
  const struct sockaddr* address; /* where to connect; valid until the ticket ends */
  uint32_t address_length;
  uint32_t attempt;  /* 1, and one more after each fc_ticket_retry() */
  uint64_t endpoint; /* names this run of this container: pool connections by it, never by address */
  fc_str container;  /* valid until the ticket ends, as the next */
  fc_str host;
  uint64_t epoch;
  uint64_t lookup_ns; /* phases of this route; 0 for those that were not needed */
  uint64_t probe_ns;  /* until the old host was judged, or the host's dispatcher answered */
  uint64_t swap_ns;   /* the compare-and-set */
  uint64_t start_ns;  /* from the first question to the (new) dispatcher until its grant */
  uint64_t queue_ns;  /* waiting for a slot */
} fc_ticket;
#define FC_TICKET_INIT \
  { sizeof(fc_ticket), 0, 0, 0, 0, 0, 0, {0, 0}, {0, 0}, 0, 0, 0, 0, 0, 0 }

/* Why an open ticket's owner is told, fc_lost_cb */
#define FC_LOST_HOST_DOWN \
  1u                       /* the host is gone: give up connects, close its connections, fc_ticket_retry() */
#define FC_LOST_SERVICE 2u /* the host answers, the container and its dispatcher do not: the same */
#define FC_LOST_CONTAINER 3u /* the dispatcher says that the container has ended by itself: the same */

/* FC_OK: `ticket` is the route, and is to be ended. Else a negative code, and `error` says more; `ticket` is
 * NULL. */
typedef void (*fc_route_cb)(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error);
/* An open ticket's host or container was lost. Once for each ticket at most; the ticket stays open until it
 * is ended or retried, which may be done right here. */
typedef void (*fc_lost_cb)(void* user_data, uint64_t ticket, uint32_t reason);

typedef struct fc_route_options {
  uint32_t struct_size;
  uint32_t flags;          /* FC_ROUTE_STREAM */
  uint64_t wait_ns;        /* wait at most so long; 0: the engine's */
  fc_lost_cb on_lost;      /* may be NULL */
  void* on_lost_user_data; /* what it gets, which may be freed when the ticket has ended */
} fc_route_options;
#define FC_ROUTE_STREAM 1u /* a stream or tunnel: while silent, guarded less often, at last each 1 s */

/* Where does the container of `key` run? FC_OK: `ticket` is filled in, the callback will not run, and it cost
 * no system call and no allocation. FC_PENDING: `*op` is set and the callback will run. Negative:
 * FC_E_UNKNOWN_KEY (known to be unknown), FC_E_QUEUE_FULL, FC_E_INVALID; the callback will not run.
 * `options`, `op` may be NULL. */
FC_API int32_t fc_route(fc_engine* engine, fc_str key, const fc_route_options* options, fc_ticket* ticket,
                        fc_op* op, fc_route_cb callback, void* user_data);

/* How an attempt went, as far as the router can learn from it. */
#define FC_OUTCOME_OK 0u             /* a response came, whatever its status */
#define FC_OUTCOME_CANCELLED 1u      /* the client went away, or the attempt was given up without evidence */
#define FC_OUTCOME_REFUSED 2u        /* connection refused */
#define FC_OUTCOME_CONNECT_FAILED 3u /* unreachable, or timed out while connecting */
#define FC_OUTCOME_CLOSED 4u         /* closed or reset before the response was complete */
#define FC_OUTCOME_TIMEOUT 5u        /* no response in time */
#define FC_OUTCOME_STALE_CONNECTION \
  6u /* a pooled connection was closed by its end before a byte came: no evidence */

typedef struct fc_outcome {
  uint32_t struct_size;
  uint32_t outcome; /* FC_OUTCOME_ */
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint64_t duration_ns; /* from route to end; 0: not measured */
} fc_outcome;

/* The request is over. `outcome` may be NULL: FC_OUTCOME_OK. No system call in the usual case.
 * FC_E_NOT_FOUND. */
FC_API int32_t fc_ticket_end(fc_engine* engine, uint64_t ticket, const fc_outcome* outcome);

/* Bytes came from the container: evidence that it and its host live. Cheap; call it for each read if you
 * like. */
FC_API int32_t fc_ticket_alive(fc_engine* engine, uint64_t ticket);

/* What has happened to the request, for the decision whether it may be sent again (RFC 9110 section 9.2.2).
 */
typedef struct fc_attempt {
  uint32_t struct_size;
  uint32_t outcome;        /* FC_OUTCOME_ */
  uint32_t bytes_written;  /* not 0: at least one byte of the request was written to a connection */
  uint32_t idempotent;     /* not 0: GET, HEAD, OPTIONS, TRACE, PUT, DELETE */
  uint32_t body_held;      /* not 0: the whole request can be sent again */
  uint32_t response_begun; /* not 0: a byte of the response has been forwarded */
} fc_attempt;

/* Ends `ticket` and routes its key again, if that is safe: nothing was written; or it is idempotent, the body
 * is held, and no byte of the response was forwarded. As fc_route() otherwise. FC_E_UNSAFE: it is not, and
 * the ticket is over; also after 4 attempts in which bytes were written. FC_E_NOT_FOUND. */
FC_API int32_t fc_ticket_retry(fc_engine* engine, uint64_t ticket, const fc_attempt* attempt,
                               const fc_route_options* options, fc_ticket* next, fc_op* op,
                               fc_route_cb callback, void* user_data);

/* ---- probing ------------------------------------------------------------------------------------------- */

#define FC_VERDICT_UP 0
#define FC_VERDICT_UP_PORT_CLOSED 1
#define FC_VERDICT_DOWN_UNREACHABLE 2
#define FC_VERDICT_DOWN_TIMEOUT 3
#define FC_VERDICT_LOCAL_FAULT 4 /* own firewall, route, link, permission: says nothing about the host */

#define FC_PROBE_NONE 0u          /* in options: ICMP, by whichever socket is permitted */
#define FC_PROBE_ICMP_DATAGRAM 1u /* needs net.ipv4.ping_group_range, which serves IPv6 too */
#define FC_PROBE_ICMP_RAW 2u      /* needs CAP_NET_RAW */
#define FC_PROBE_TCP_CONNECT 3u   /* a handshake, aborted by a reset */
#define FC_PROBE_TCP_SYN 4u       /* half open; needs CAP_NET_RAW */
#define FC_PROBE_ECHO 5u          /* the dispatcher's authenticated ECHO: fc_probe() only */
#define FC_PROBE_UDP 6u           /* any answer, or port unreachable */

#define FC_PROBE_DONT_FRAGMENT 1u /* what is too big for a link on the way: unreachable, EMSGSIZE */

typedef struct fc_probe_options {
  uint32_t struct_size;
  uint32_t flags;           /* FC_PROBE_DONT_FRAGMENT */
  uint64_t deadline_ns;     /* from the first packet; 0: 10 ms, FC_PROBE_ECHO 100 ms */
  uint64_t hedge_ns[2];     /* further packets, from the first; 0: none */
  uint64_t deadline_max_ns; /* the host's round trips so far may raise the deadline to this; 0: fixed */
  /* Evidence of life (an answer to a probe with freshness_ns, fc_prober_note_*) not older than this answers
   * without a packet, and a probe of the same host that is open is joined. 0: neither. */
  uint64_t freshness_ns;
  const struct sockaddr* source; /* NULL: as routed. Its port, 0: any, is that of TCP and UDP packets */
  uint32_t source_length;
  uint32_t interface_index; /* to leave by; 0: as routed */
  uint32_t mechanism;       /* FC_PROBE_ */
  uint32_t size;            /* payload bytes of ICMP and UDP, up to 65,000; below 16: 16 */
  uint32_t dscp;            /* 0..63, RFC 2474 */
  uint32_t ttl;             /* hop limit, 1..255; 0: the system's */
} fc_probe_options;

typedef struct fc_probe_result {
  uint32_t struct_size;
  int32_t verdict;    /* FC_VERDICT_ */
  uint32_t mechanism; /* FC_PROBE_ */
  uint32_t packets;   /* sent */
  int32_t error;      /* errno, for unreachable and local fault */
  int32_t icmp_type;  /* of an ICMP error; -1: none */
  int32_t icmp_code;
  uint32_t shared;      /* 1: another probe's packets, or evidence without a packet */
  uint64_t rtt_ns;      /* to the kernel's receive stamp */
  uint64_t user_rtt_ns; /* to the time when it was read */
  uint64_t stall_ns;    /* how late the loop was: to read the answer, or to judge after the deadline */
  uint64_t deadline_ns; /* that was applied */
} fc_probe_result;

typedef void (*fc_probe_cb)(void* user_data, const fc_probe_result* result);

/* Sets struct_size, the default deadline and one hedge at 3 ms. */
FC_API void fc_probe_options_init(fc_probe_options* options);

/* One verdict on `host` (numeric). Its port is ignored by ICMP; the other mechanisms need one. `options` may
 * be NULL. FC_PENDING; FC_E_INVALID: what does not fit the structs, the mechanism or the family of `host`;
 * FC_E_SHUTDOWN. Whatever else is wrong becomes a verdict: FC_VERDICT_LOCAL_FAULT with EPERM where this
 * process may not use the mechanism. At fc_engine_destroy() the callback gets FC_VERDICT_LOCAL_FAULT with
 * error ECANCELED. */
FC_API int32_t fc_probe(fc_engine* engine, const struct sockaddr* host, uint32_t host_length,
                        const fc_probe_options* options, fc_op* op, fc_probe_cb callback, void* user_data);

/* ---- the prober alone ---------------------------------------------------------------------------------- */

/* libfastcontainer-probe: without an engine, and it needs libc only. A prober belongs to one thread.
 * Callbacks run inside fc_prober_process() only, once for each probe, or never after fc_prober_cancel() has
 * returned FC_OK. Inside them everything may be called but fc_prober_process() and fc_prober_destroy(). */
typedef struct fc_prober fc_prober;

typedef struct fc_prober_options {
  uint32_t struct_size;
  uint32_t mechanism; /* FC_PROBE_ for probes that name none. FC_PROBE_NONE: a ping socket, else a raw one */
  uint32_t
      receive_buffer; /* bytes for each socket; 0: 1 MiB. net.core.rmem_max caps it without CAP_NET_ADMIN */
  uint32_t reserved;
} fc_prober_options;

typedef struct fc_prober_stats {
  uint32_t struct_size;
  uint32_t open; /* probes without a verdict */
  uint64_t packets_sent;
  uint64_t packets_received; /* answers and ICMP errors that were a probe's */
  uint64_t packets_foreign;  /* read and nobody's: late, forged, or to others */
  uint64_t packets_lost;     /* that the kernel dropped because the receive buffer was full */
  uint64_t clock_steps;      /* times that CLOCK_REALTIME was set while a probe was open */
  uint64_t link_changes;     /* carrier changes of own interfaces */
  uint64_t shared;           /* probes answered by another's packets or by evidence */
} fc_prober_stats;

FC_API void fc_prober_options_init(fc_prober_options* options);

/* `options` may be NULL. FC_OK; FC_E_INVALID; FC_E_NOMEM; FC_E_SYSTEM; FC_E_PERMISSION: the message names the
 * sysctl or capability that would allow it. Nothing on the machine is changed. */
FC_API int32_t fc_prober_create(fc_prober** out, const fc_prober_options* options, fc_error* error);
FC_API int fc_prober_fd(const fc_prober* prober); /* poll it for reading; the same for the prober's life */
FC_API uint64_t fc_prober_deadline(const fc_prober* prober); /* CLOCK_MONOTONIC ns; UINT64_MAX: none */
/* FC_PROBE_ that serves probes which name none, for AF_INET or AF_INET6; FC_PROBE_NONE: none is permitted. */
FC_API uint32_t fc_prober_mechanism(fc_prober* prober, int family);
/* Call it when the descriptor is readable and when the deadline has passed. Returns the number of callbacks
 * run. Answers and errors that have arrived are read before any time-out is judged. */
FC_API int32_t fc_prober_process(fc_prober* prober);
/* FC_PENDING, and sets *probe (may be NULL); FC_E_INVALID; FC_E_UNSUPPORTED: FC_PROBE_ECHO; FC_E_NOMEM. */
FC_API int32_t fc_prober_probe(fc_prober* prober, const struct sockaddr* host, uint32_t host_length,
                               const fc_probe_options* options, fc_probe_cb callback, void* user_data,
                               uint64_t* probe);
/* FC_OK; FC_E_NOT_FOUND: its callback has run, or there is none. Also ends a batch. */
FC_API int32_t fc_prober_cancel(fc_prober* prober, uint64_t probe);

/* A verdict on each of `count` hosts (copied), at most `packets_per_second` packets in a second (0: no
 * limit; hedges count). `index` is that of the host. Open probes are bounded so that their answers fit the
 * receive buffer; what the kernel drops nevertheless is counted in packets_lost. Codes as
 * fc_prober_probe(). */
typedef void (*fc_batch_cb)(void* user_data, size_t index, const fc_probe_result* result);
FC_API int32_t fc_prober_batch(fc_prober* prober, const struct sockaddr_storage* hosts, size_t count,
                               const fc_probe_options* options, uint32_t packets_per_second,
                               fc_batch_cb callback, void* user_data, uint64_t* batch);

/* Evidence of life without a probe, for probes with freshness_ns. `rtt_ns` 0: unknown. */
FC_API int32_t fc_prober_note_alive(fc_prober* prober, const struct sockaddr* host, uint32_t host_length,
                                    uint64_t rtt_ns);
/* Asks the kernel (TCP_INFO) what it knows from a connected TCP socket: the peer's last data or
 * acknowledgement counts as evidence of that age. FC_OK; FC_E_INVALID: no such socket; FC_E_NOT_FOUND: it
 * knows nothing yet. */
FC_API int32_t fc_prober_note_connection(fc_prober* prober, int fd);

/* FC_OK; FC_E_INVALID. */
FC_API int32_t fc_prober_get_stats(const fc_prober* prober, fc_prober_stats* stats);
FC_API void fc_prober_destroy(fc_prober* prober); /* no callbacks; NULL is a no-op */

/* A prober for one verdict, blocking until it is there (deadline_ns, and what the machine adds). FC_OK:
 * *result is filled; else as fc_prober_create() and fc_prober_probe(). For scripts: what probes often keeps a
 * prober. */
FC_API int32_t fc_probe_once(const struct sockaddr* host, uint32_t host_length,
                             const fc_probe_options* options, fc_probe_result* result, fc_error* error);

/* ---- the CMDB of an engine ----------------------------------------------------------------------------- */

/* `result` is valid during the callback; its records are as in fc_result. For fc_cmdb_watch() it runs for
 * each event. */
typedef void (*fc_result_cb)(void* user_data, const fc_result* result);

/* Each returns FC_PENDING and sets *op (may be NULL), or a negative code. Codes in the callback: FC_OK,
 * FC_E_CMDB, FC_E_CONFLICT (txn, with the compared records as they are; list: `at_revision` is not kept any
 * more), FC_E_UNKNOWN_OUTCOME (txn), FC_E_NOT_FOUND (txn: a put's lease has ended, nothing applied).
 * Destroying the engine ends them with FC_E_SHUTDOWN. */
FC_API int32_t fc_cmdb_get(fc_engine* engine, fc_str key, int32_t linearizable, fc_op* op,
                           fc_result_cb callback, void* user_data);
FC_API int32_t fc_cmdb_list(fc_engine* engine, fc_str prefix, fc_str after, uint64_t at_revision,
                            uint32_t limit, fc_op* op, fc_result_cb callback, void* user_data);
/* Each mutation's value is checked as fc_record_check() does, if its key is one of the library's records. */
FC_API int32_t fc_cmdb_txn(fc_engine* engine, const fc_compare* compares, uint32_t compare_count,
                           const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline,
                           fc_op* op, fc_result_cb callback, void* user_data, fc_error* error);
FC_API int32_t fc_cmdb_watch(fc_engine* engine, fc_str prefix, uint64_t after_revision, fc_op* op,
                             fc_result_cb callback, void* user_data);
/* A lease that ends `ttl_ns` from now unless it is kept; its keys (fc_mutation.lease) are then deleted. The
 * result's lease_ttl_ns may be more than was asked for. FC_E_CMDB: it may or may not have been done, and may
 * be asked again; FC_E_UNSUPPORTED: the CMDB has no leases; keep and revoke FC_E_NOT_FOUND: it has ended. */
FC_API int32_t fc_cmdb_lease_grant(fc_engine* engine, uint64_t ttl_ns, fc_op* op, fc_result_cb callback,
                                   void* user_data);
FC_API int32_t fc_cmdb_lease_keep(fc_engine* engine, uint64_t lease, fc_op* op, fc_result_cb callback,
                                  void* user_data);
FC_API int32_t fc_cmdb_lease_revoke(fc_engine* engine, uint64_t lease, fc_op* op, fc_result_cb callback,
                                    void* user_data);

#define FC_RECORD_KEY 0u
#define FC_RECORD_CLASS 1u
#define FC_RECORD_SPEC 2u
#define FC_RECORD_PLACEMENT 3u
#define FC_RECORD_HOST 4u
#define FC_RECORD_SCORES 5u /* by class; "*": of every class without a table of its own */

/* The CMDB key of a record, for example of FC_RECORD_SPEC "site-42". Writes at most `capacity` bytes with a
 * NUL and returns the length without it, or FC_E_INVALID (the name, or no room: 1,024 bytes always suffice).
 * An empty name gives the prefix of all records of that kind. A name of FC_RECORD_KEY is first brought into
 * the form in which requests are looked up: lower case, no port, no final dot. Any thread. */
FC_API int32_t fc_record_key(uint32_t kind, fc_str name, char* buffer, size_t capacity);
/* The kind (FC_RECORD_) and name of a CMDB key; FC_E_INVALID if it is none of the library's. Any thread. */
FC_API int32_t fc_record_name(fc_str key, uint32_t* kind, char* buffer, size_t capacity);
/* FC_OK, or FC_E_INVALID / FC_E_UNSUPPORTED with a message that names the field and the accepted values. What
 * a spec with a class lacks is taken to be in the class. Any thread. */
FC_API int32_t fc_record_check(uint32_t kind, fc_str name, fc_str json, fc_error* error);

typedef struct fc_placed {
  uint32_t struct_size;
  uint32_t replica;
  fc_str container;
  fc_str host;
  fc_str from_host; /* empty: it had no placement */
  uint64_t epoch;
} fc_placed;
/* `placed` is NULL unless FC_OK. */
typedef void (*fc_place_cb)(void* user_data, int32_t code, const fc_placed* placed, const fc_error* error);

/* Writes the placement of `container` by compare-and-set: on `host`, or, if that is empty, on the best host
 * that answers other than the present one. FC_OK without a write if it is there already. FC_PENDING; errors
 * in the callback: FC_E_NOT_FOUND (container or host), FC_E_NO_HOST, FC_E_CMDB, FC_E_CONFLICT, FC_E_VETO. */
FC_API int32_t fc_place(fc_engine* engine, fc_str container, fc_str host, fc_str reason, fc_op* op,
                        fc_place_cb callback, void* user_data);

/* ---- dispatcher ---------------------------------------------------------------------------------------- */

typedef struct fc_dispatcher_options {
  uint32_t struct_size;
  uint32_t max_starts; /* starts in progress; default 2 per core */
  fc_str host;         /* this host's id in the CMDB; required */
  fc_str address;      /* numeric: where containers listen and this host is probed; empty: as in its record */
  uint32_t port;       /* UDP, of the dispatch protocol; 0: as in its record, or 7070 */
  uint32_t max_containers; /* running at once; default 10,000 */
  fc_str state_directory;  /* required by the runtime "process"; survives restarts */
  fc_str log_directory;    /* output of containers; empty: STATE/log */
  fc_str runtime;          /* "process" (default); or use `runtime_vtable` */
  const fc_runtime_vtable* runtime_vtable;
  void* runtime_user_data;
  uint32_t port_first, port_last; /* range for containers; default 20000 to 29999 */
  double cpu;                     /* capacity for the host record; 0: cores of this machine */
  uint64_t memory;                /* bytes; 0: memory of this machine */
  fc_str labels_json;             /* for the host record, for example {"zone":"a"}; empty: as they are */
  uint32_t subreaper;             /* not 0: become the reaper of orphaned descendants (a daemon of its own) */
  uint32_t reserved;
} fc_dispatcher_options;

FC_API void fc_dispatcher_options_init(fc_dispatcher_options* options);

typedef void (*fc_done_cb)(void* user_data, int32_t code, const fc_error* error);

/* Makes this process the dispatcher of a host: binds the port, recovers what is running, raises the host's
 * incarnation (making the record if there is none), then serves; `ready` (may be NULL) runs when it does, or
 * cannot. Errors at once: FC_E_INVALID, FC_E_UNSUPPORTED (runtime), FC_E_SYSTEM (port in use),
 * FC_E_PERMISSION (an address that needs a key). Where the port or the address is that of the host's record,
 * which must be read first, `ready` gets the last two. */
FC_API int32_t fc_dispatcher_create(fc_dispatcher** out, fc_engine* engine,
                                    const fc_dispatcher_options* options, fc_done_cb ready, void* user_data,
                                    fc_error* error);
/* Revokes all leases, lets tickets end (at most `grace_ns`), stops all containers. FC_PENDING. `callback` may
 * be NULL. */
FC_API int32_t fc_dispatcher_drain(fc_dispatcher* dispatcher, uint64_t grace_ns, fc_done_cb callback,
                                   void* user_data);

typedef struct fc_container_info {
  uint32_t struct_size;
  uint32_t state; /* FC_CONTAINER_ */
  fc_str container;
  fc_str instance;
  uint64_t epoch;
  const struct sockaddr* address;
  uint32_t address_length;
  uint32_t leases;
  uint32_t tickets; /* open, as the routers last reported */
  uint32_t waiting;
} fc_container_info;
#define FC_CONTAINER_STARTING 1u
#define FC_CONTAINER_RUNNING 2u
#define FC_CONTAINER_STOPPING 3u
#define FC_CONTAINER_FAILED 4u
typedef void (*fc_container_cb)(void* user_data, const fc_container_info* info);
/* Calls back for each container, within the call. */
FC_API int32_t fc_dispatcher_list(fc_dispatcher* dispatcher, fc_container_cb callback, void* user_data);
/* Stops serving; containers go on running and are adopted by the host's next dispatcher. Callbacks of this
 * dispatcher that have not run get FC_E_SHUTDOWN, from the loop. NULL is a no-op. */
FC_API void fc_dispatcher_destroy(fc_dispatcher* dispatcher);

/* ---- numbers ------------------------------------------------------------------------------------------- */

#define FC_STAT_COUNTER 1u
#define FC_STAT_GAUGE 2u
typedef struct fc_stat {
  uint32_t struct_size;
  uint32_t kind; /* FC_STAT_ */
  fc_str name;   /* "fastcontainer_relocations_total", in the style of Prometheus */
  fc_str labels; /* "outcome=\"won\"", or empty */
  fc_str help;
  double value;
} fc_stat;
typedef void (*fc_stat_cb)(void* user_data, const fc_stat* stat);
/* Calls back for each number, within the call; those of one name come together. Includes the engine's
 * dispatchers. */
FC_API int32_t fc_engine_stats(fc_engine* engine, fc_stat_cb callback, void* user_data);

#ifdef __cplusplus
}
#endif

#endif /* FASTCONTAINER_H */
