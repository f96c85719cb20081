/* A policy and hooks in C. */
#include <string.h>

#include "fixture.h"

typedef struct scripted {
  const char* choice; /* a host's id; NULL: garbage; "error", "decline" */
  int calls, destroyed;
  uint32_t hosts;
  char container[128], avoid[128];
  fc_columns* kept; /* of the first call */
  const uint64_t* id_hash;
  uint64_t was[3];
} scripted;

static int32_t place(void* user_data, const fc_place_request* request, const fc_host_table* hosts,
                     uint32_t* candidates, uint32_t capacity) {
  scripted* const script = user_data;
  uint32_t row;
  ++script->calls;
  script->hosts = hosts->size;
  snprintf(script->container, sizeof(script->container), "%s", as_c(request->container));
  snprintf(script->avoid, sizeof(script->avoid), "%s", as_c(request->avoid_host));
  CHECK(capacity > 1);
  if (script->kept == NULL && hosts->size == 3) {
    script->kept = fc_host_table_keep(hosts);
    script->id_hash = hosts->id_hash;
    memcpy(script->was, hosts->id_hash, sizeof(script->was));
  }
  if (script->choice == NULL) {
    candidates[0] = candidates[1] = hosts->size - 1; /* repeated */
    return 2;
  }
  for (row = 0; row < hosts->size; ++row) {
    CHECK((hosts->flags[row] & FC_HOST_ADMIN_UP) != 0);
    if (!same(hosts->id[row], script->choice)) continue;
    candidates[0] = row;
    return 1;
  }
  if (strcmp(script->choice, "decline") == 0) return FC_E_UNSUPPORTED;
  return strcmp(script->choice, "error") == 0 ? FC_E_INVALID : 0;
}

static void destroy_policy(void* user_data) { ++((scripted*)user_data)->destroyed; }

static const fc_policy_vtable kScripted = {sizeof(fc_policy_vtable), 0, place, destroy_policy};

static void policy_in_c_chooses_the_host(void) {
  fake_runtime runtimes[3];
  fc_dispatcher* dispatchers[3];
  scripted script = {"h2", 0, 0, 0, "", "", NULL, NULL, {0}};
  fc_engine_options options;
  fc_engine* engine = NULL;
  route_result result;
  int i;
  memset(runtimes, 0, sizeof(runtimes));
  init_options(&options, "memory:");
  options.policy = &kScripted;
  options.policy_user_data = &script;
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  put_container(engine, "a");
  put_container(engine, "b");
  put_container(engine, "c");
  put_container(engine, "d");
  dispatchers[0] = make_dispatcher(engine, &runtimes[0], "h1", "127.0.0.1");
  dispatchers[1] = make_dispatcher(engine, &runtimes[1], "h2", "127.0.0.2");
  dispatchers[2] = make_dispatcher(engine, &runtimes[2], "h3", "127.0.0.3");
  CHECK_INT(FC_OK, route_and_wait(engine, "a.test", &result));
  CHECK(strcmp(result.host, "h2") == 0);
  CHECK_INT(3, script.hosts);
  CHECK(strcmp(script.container, "a") == 0);
  CHECK(script.avoid[0] == '\0');
  CHECK(stat_of(engine, "fastcontainer_policy_fallbacks_total", "") == 0);

  script.choice = NULL;
  CHECK_INT(FC_OK, route_and_wait(engine, "b.test", &result));
  CHECK(stat_of(engine, "fastcontainer_policy_fallbacks_total", "") == 1);
  script.choice = "error";
  CHECK_INT(FC_OK, route_and_wait(engine, "c.test", &result));
  CHECK(stat_of(engine, "fastcontainer_policy_fallbacks_total", "") == 2);
  script.choice = "decline";
  CHECK_INT(FC_OK, route_and_wait(engine, "d.test", &result));
  CHECK(stat_of(engine, "fastcontainer_policy_fallbacks_total", "") == 2);

  for (i = 0; i < 3; ++i) fc_dispatcher_destroy(dispatchers[i]);
  CHECK_INT(0, script.destroyed);
  fc_engine_destroy(engine);
  CHECK_INT(1, script.destroyed);
  /* What is kept outlives the call and the engine. */
  CHECK(script.kept != NULL && memcmp(script.id_hash, script.was, sizeof(script.was)) == 0);
  fc_columns_release(script.kept);
  fc_columns_release(NULL);
}

typedef struct watcher {
  const char* refused_host;
  uint32_t points[64];
  int count, destroyed;
} watcher;

static int32_t on_event(void* user_data, const fc_hook_event* event) {
  watcher* const out = user_data;
  CHECK_INT(sizeof(*event), event->struct_size);
  if (out->count < 64) out->points[out->count++] = event->point;
  if (event->point == FC_HOOK_BEFORE_PLACE && same(event->host, out->refused_host)) return FC_E_VETO;
  return FC_OK;
}

static void destroy_watcher(void* user_data) { ++((watcher*)user_data)->destroyed; }

static int saw(const watcher* out, uint32_t point) {
  int i;
  for (i = 0; i < out->count; ++i)
    if (out->points[i] == point) return 1;
  return 0;
}

static void hook_in_c_vetoes_a_host(void) {
  static const fc_hooks_vtable hooks = {sizeof(fc_hooks_vtable), 0, on_event, destroy_watcher};
  fake_runtime runtimes[2];
  fc_dispatcher* dispatchers[2];
  watcher out;
  fc_engine_options options;
  fc_engine* engine = NULL;
  route_result result;
  char container[24], key[32];
  int i;
  memset(runtimes, 0, sizeof(runtimes));
  memset(&out, 0, sizeof(out));
  out.refused_host = "h1";
  init_options(&options, "memory:");
  options.hooks = &hooks;
  options.hooks_user_data = &out;
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  dispatchers[0] = make_dispatcher(engine, &runtimes[0], "h1", "127.0.0.1");
  dispatchers[1] = make_dispatcher(engine, &runtimes[1], "h2", "127.0.0.2");
  for (i = 0; i < 8; ++i) { /* some of them would go to h1 */
    snprintf(container, sizeof(container), "site-%d", i);
    snprintf(key, sizeof(key), "site-%d.test", i);
    put_container(engine, container);
    CHECK_INT(FC_OK, route_and_wait(engine, key, &result));
    CHECK(strcmp(result.host, "h2") == 0);
  }
  CHECK(saw(&out, FC_HOOK_BEFORE_PLACE) && saw(&out, FC_HOOK_AFTER_PLACE));
  CHECK(saw(&out, FC_HOOK_BEFORE_START) && saw(&out, FC_HOOK_READY));
  CHECK(stat_of(engine, "fastcontainer_relocations_refused_total", "cause=\"veto\"") >= 1);
  for (i = 0; i < 2; ++i) fc_dispatcher_destroy(dispatchers[i]);
  fc_engine_destroy(engine);
  CHECK_INT(1, out.destroyed);
}

int main(void) {
  RUN(policy_in_c_chooses_the_host);
  RUN(hook_in_c_vetoes_a_host);
  return 0;
}
