/* Score tables of this process, and the copy of the host table that they are made from. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "fixture.h"

typedef struct cloud {
  fc_engine* engine;
  fake_runtime runtimes[3];
  fc_dispatcher* dispatchers[3];
  int containers;
} cloud;

static void begin(cloud* on, uint32_t no_scores) {
  static const char* const names[] = {"h1", "h2", "h3"};
  static const char* const addresses[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
  fc_engine_options options;
  int i;
  memset(on, 0, sizeof(*on));
  init_options(&options, "memory:");
  options.no_scores = no_scores;
  CHECK_INT(FC_OK, fc_engine_create(&on->engine, &options, NULL));
  for (i = 0; i < 3; ++i)
    on->dispatchers[i] = make_dispatcher(on->engine, &on->runtimes[i], names[i], addresses[i]);
}

static void end(cloud* on) {
  int i;
  for (i = 0; i < 3; ++i) fc_dispatcher_destroy(on->dispatchers[i]);
  fc_engine_destroy(on->engine);
}

static void place_one(cloud* on, route_result* result) {
  char container[32], key[48];
  snprintf(container, sizeof(container), "site-%d", on->containers++);
  snprintf(key, sizeof(key), "%s.test", container);
  put_container(on->engine, container);
  CHECK_INT(FC_OK, route_and_wait(on->engine, key, result));
}

/* Which of several hosts is the best depends on the load of this machine, too: here all but one are ruled
 * out. Whether a few new containers all go there. */
static int all_go_to(cloud* on, const char* host) {
  route_result result;
  int i, there = 1;
  for (i = 0; i < 8; ++i) {
    place_one(on, &result);
    there = there && strcmp(result.host, host) == 0;
  }
  return there;
}

static int32_t set_scores(fc_engine* engine, const char* class_name, double h1, double h2, double h3,
                          uint64_t valid_ns) {
  const fc_str hosts[] = {{"h1", 2}, {"h2", 2}, {"h3", 2}};
  const double scores[] = {h1, h2, h3};
  return fc_engine_set_scores(engine, text(class_name), hosts, scores, 3, valid_ns, NULL);
}

static void scores_of_this_process_decide(void) {
  cloud on;
  begin(&on, 0);
  CHECK_INT(FC_OK, set_scores(on.engine, "", -INFINITY, 2, NAN, 0));
  CHECK(all_go_to(&on, "h2"));
  CHECK_INT(FC_OK, set_scores(on.engine, "other", 9, NAN, NAN, 0)); /* for whom it is not */
  CHECK(all_go_to(&on, "h2"));
  CHECK_INT(FC_OK, set_scores(on.engine, "*", -INFINITY, -INFINITY, 0, 0));
  CHECK(all_go_to(&on, "h3"));
  CHECK(stat_of(on.engine, "fastcontainer_orders_total", "by=\"scores\"") >= 24);
  CHECK_INT(FC_OK, fc_engine_set_scores(on.engine, text(""), NULL, NULL, 0, 0, NULL));
  all_go_to(&on, "h3");
  CHECK(stat_of(on.engine, "fastcontainer_orders_total", "by=\"built-in\",scores=\"missing\"") >= 8);
  CHECK_INT(FC_OK, set_scores(on.engine, "", NAN, NAN, NAN, 1)); /* a nanosecond */
  all_go_to(&on, "h3");
  CHECK(stat_of(on.engine, "fastcontainer_orders_total", "by=\"built-in\",scores=\"old\"") >= 8);
  end(&on);
}

static void published_scores_decide_where_they_are_wanted(void) {
  uint32_t no_scores;
  for (no_scores = 0; no_scores < 2; ++no_scores) {
    cloud on;
    begin(&on, no_scores);
    put(on.engine, FC_RECORD_SCORES, "*", "{\"hosts\":{\"h1\":null,\"h2\":null}}");
    run_ready(on.engine);
    CHECK(all_go_to(&on, "h3") || no_scores != 0);
    CHECK((stat_of(on.engine, "fastcontainer_orders_total", "by=\"scores\"") > 0) == (no_scores == 0));
    CHECK_INT(FC_OK, set_scores(on.engine, "", 1, NAN, NAN, 0));
    CHECK(all_go_to(&on, "h1"));
    end(&on);
  }
}

static void wrong_scores_are_refused(void) {
  const fc_str twice[] = {{"h1", 2}, {"h1", 2}};
  const double scores[] = {1, 2};
  fc_error error = FC_ERROR_INIT;
  fc_engine* const engine = make_engine("memory:");
  CHECK_INT(FC_E_INVALID, fc_engine_set_scores(engine, text(""), twice, scores, 2, 0, &error));
  CHECK(strstr(error.message, "h1") != NULL);
  CHECK_INT(FC_E_INVALID, fc_engine_set_scores(engine, text(""), twice, NULL, 2, 0, &error));
  CHECK_INT(FC_E_INVALID, fc_engine_set_scores(engine, text(""), NULL, scores, 2, 0, &error));
  fc_engine_destroy(engine);
}

typedef struct scorer {
  fc_engine* engine;
  fc_hosts* hosts;
} scorer;

/* Likes the last host; releases the copy, as a thread of its own may. */
static void* score(void* user_data) {
  scorer* const in = user_data;
  const fc_host_table* const table = fc_hosts_table(in->hosts);
  double scores[3] = {NAN, NAN, NAN};
  CHECK_INT(3, table->size);
  scores[table->size - 1] = 1;
  CHECK_INT(FC_OK, fc_engine_set_scores(in->engine, text(""), table->id, scores, table->size, 0, NULL));
  fc_hosts_release(in->hosts);
  return NULL;
}

static void hosts_are_scored_in_another_thread(void) {
  cloud on;
  scorer in;
  pthread_t thread;
  const fc_host_table* table;
  begin(&on, 0);
  CHECK_INT(FC_E_INVALID, fc_engine_hosts(on.engine, NULL));
  CHECK_INT(FC_OK, fc_engine_hosts(on.engine, &in.hosts));
  table = fc_hosts_table(in.hosts);
  CHECK(table == fc_hosts_table(in.hosts));
  CHECK_INT(sizeof(*table), table->struct_size);
  CHECK(same(table->id[0], "h1") && same(table->id[2], "h3"));
  CHECK((table->flags[1] & FC_HOST_ADMIN_UP) != 0);
  all_go_to(&on, "h1"); /* the copy stays while the engine goes on */
  CHECK(same(table->id[1], "h2"));
  in.engine = on.engine;
  CHECK_INT(0, pthread_create(&thread, NULL, score, &in));
  CHECK_INT(0, pthread_join(thread, NULL));
  CHECK(all_go_to(&on, "h3"));
  fc_hosts_release(NULL);
  end(&on);
}

int main(void) {
  RUN(scores_of_this_process_decide);
  RUN(published_scores_decide_where_they_are_wanted);
  RUN(wrong_scores_are_refused);
  RUN(hosts_are_scored_in_another_thread);
  return 0;
}
