/* What the C tests share: an engine on a poll loop, records, and a runtime whose containers are listening
 * sockets of the test's own process. */
#ifndef FASTCONTAINER_TESTS_CAPI_FIXTURE_H_
#define FASTCONTAINER_TESTS_CAPI_FIXTURE_H_

#include "check.h"
#include "fastcontainer.h"

fc_str text(const char* string);
int same(fc_str a, const char* b);
/* Room for a few, in turn: for messages and comparisons. */
const char* as_c(fc_str a);

/* An engine on `url` that logs to stderr if $FC_TEST_LOG is set. */
fc_engine* make_engine(const char* url);
void init_options(fc_engine_options* options, const char* url);

/* Polls and processes until `*counter` is at least `target`; fails the test after 20 s. */
void run_until(fc_engine* engine, const int* counter, int target);
/* Processes what is ready now, without waiting. */
void run_ready(fc_engine* engine);

/* Write records and wait until they are in. */
void put(fc_engine* engine, uint32_t kind, const char* name, const char* json);
/* A container "c" with the key "c.test". */
void put_container(fc_engine* engine, const char* container);
double stat_of(fc_engine* engine, const char* name, const char* labels);

enum { kMostInstances = 32 };
typedef struct fake_instance {
  char name[128];
  char container[128];
  int listener; /* -1: stopped */
} fake_instance;

/* Completes inside the vtable's call; `hold` keeps starts back until release_starts(). */
typedef struct fake_runtime {
  fc_engine* engine;
  int starts, stops, destroyed;
  int fail_starts; /* not 0: the next so many starts fail */
  int hold;
  fc_op held[kMostInstances];
  int held_count;
  char last_spec[4096];
  fc_op exits;
  fake_instance instances[kMostInstances];
  int instance_count;
} fake_runtime;

extern const fc_runtime_vtable kFakeRuntime;
void release_starts(fake_runtime* runtime);
/* Closes the listeners, as if the containers had died without a word. */
void close_listeners(fake_runtime* runtime);
/* The same, and the runtime tells. */
void exit_instances(fake_runtime* runtime, const char* reason);

/* A dispatcher for `host` on `address` (loopback), ready to serve. */
fc_dispatcher* make_dispatcher(fc_engine* engine, fake_runtime* runtime, const char* host,
                               const char* address);
void init_dispatcher_options(fc_dispatcher_options* options, fake_runtime* runtime, const char* host,
                             const char* address);
uint16_t free_udp_port(const char* address);

/* What a route's callback told, copied. */
typedef struct route_result {
  int calls;
  int32_t code;
  fc_ticket ticket;
  char host[128];
  char message[240];
  struct lost_result {
    int count;
    uint32_t reason;
    uint64_t ticket;
  } lost;
} route_result;
void on_route(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error);
void on_lost(void* user_data, uint64_t ticket, uint32_t reason);
/* Routes and waits; the ticket is in `out`. Returns the code. */
int32_t route_and_wait(fc_engine* engine, const char* key, route_result* out);
/* Connects to a ticket's address and closes; 0 or errno. */
int try_connect(const fc_ticket* ticket);

typedef struct done_result {
  int calls;
  int32_t code;
  char message[240];
} done_result;
void on_done(void* user_data, int32_t code, const fc_error* error);
void on_result_count(void* user_data, const fc_result* result); /* user_data: done_result */

#endif /* FASTCONTAINER_TESTS_CAPI_FIXTURE_H_ */
