#include "map_cmdb.h"

#include <string.h>

static fc_str copy_of(fc_str in) {
  fc_str out = {NULL, 0};
  char* const data = malloc(in.length + 1);
  CHECK(data != NULL);
  if (in.length > 0) memcpy(data, in.data, in.length);
  data[in.length] = '\0';
  out.data = data;
  out.length = in.length;
  return out;
}

static void free_answer(map_answer* answer) {
  uint32_t i;
  for (i = 0; i < answer->result.record_count; ++i) {
    free((void*)answer->records[i].key.data);
    free((void*)answer->records[i].value.data);
  }
  free(answer->records);
  free((void*)answer->result.next.data);
}

static void hand_over(map_cmdb* map, map_answer* answer) {
  const int32_t code = fc_op_complete(*map->engine, answer->op, &answer->result);
  CHECK(code == FC_OK || code == FC_E_NOT_FOUND);
  free_answer(answer);
}

static void answer(map_cmdb* map, fc_op op, const fc_result* result) {
  map_answer out;
  uint32_t i;
  memset(&out, 0, sizeof(out));
  out.op = op;
  out.result = *result;
  out.result.struct_size = sizeof(out.result);
  out.records = calloc(result->record_count + 1, sizeof(fc_record));
  CHECK(out.records != NULL);
  for (i = 0; i < result->record_count; ++i) {
    out.records[i].key = copy_of(result->records[i].key);
    out.records[i].value = copy_of(result->records[i].value);
    out.records[i].revision = result->records[i].revision;
  }
  out.result.records = out.records;
  out.result.next = copy_of(result->next);
  if (!map->own_thread) {
    hand_over(map, &out);
    return;
  }
  pthread_mutex_lock(&map->mutex);
  CHECK(map->answer_count < kMostAnswers);
  map->answers[map->answer_count++] = out;
  pthread_cond_broadcast(&map->ready);
  pthread_mutex_unlock(&map->mutex);
}

static void* answer_from_a_thread(void* user_data) {
  map_cmdb* const map = user_data;
  pthread_mutex_lock(&map->mutex);
  while (!map->stopping || map->answer_count > 0) {
    map_answer first;
    if (map->answer_count == 0) {
      pthread_cond_wait(&map->ready, &map->mutex);
      continue;
    }
    first = map->answers[0];
    memmove(map->answers, map->answers + 1, sizeof(map->answers[0]) * (size_t)--map->answer_count);
    pthread_mutex_unlock(&map->mutex);
    hand_over(map, &first);
    pthread_mutex_lock(&map->mutex);
  }
  pthread_mutex_unlock(&map->mutex);
  return NULL;
}

static map_record* find(map_cmdb* map, fc_str key) {
  int i;
  for (i = 0; i < map->record_count; ++i)
    if (same(key, map->records[i].key)) return &map->records[i];
  return NULL;
}

static fc_record shown(const map_record* record) {
  fc_record out;
  out.key = text(record->key);
  out.value = text(record->value);
  out.revision = record->revision;
  return out;
}

static fc_record shown_or_absent(map_cmdb* map, fc_str key) {
  fc_record out;
  const map_record* const record = find(map, key);
  if (record != NULL) return shown(record);
  memset(&out, 0, sizeof(out));
  out.key = key;
  return out;
}

static int32_t map_get(void* user_data, fc_op op, fc_str key, int32_t linearizable) {
  map_cmdb* const map = user_data;
  fc_record record;
  fc_result result;
  (void)linearizable;
  ++map->calls;
  if (map->fail_gets > 0) {
    --map->fail_gets;
    return FC_E_CMDB;
  }
  record = shown_or_absent(map, key);
  memset(&result, 0, sizeof(result));
  result.records = &record;
  result.record_count = 1;
  answer(map, op, &result);
  return FC_OK;
}

static int starts_with(const char* key, fc_str prefix) {
  return strlen(key) >= prefix.length && memcmp(key, prefix.data, prefix.length) == 0;
}

static int by_key(const void* a, const void* b) {
  return strcmp(((const map_record*)a)->key, ((const map_record*)b)->key);
}

static int32_t map_list(void* user_data, fc_op op, fc_str prefix, fc_str after, uint64_t at_revision,
                        uint32_t limit) {
  map_cmdb* const map = user_data;
  fc_record page[kMostRecords];
  fc_result result;
  char from[256];
  int i;
  (void)at_revision;
  ++map->calls;
  memset(&result, 0, sizeof(result));
  snprintf(from, sizeof(from), "%.*s", (int)after.length, after.data != NULL ? after.data : "");
  qsort(map->records, (size_t)map->record_count, sizeof(map->records[0]), by_key);
  for (i = 0; i < map->record_count; ++i) {
    if (!starts_with(map->records[i].key, prefix) || strcmp(map->records[i].key, from) <= 0) continue;
    if (limit > 0 && result.record_count == limit) {
      result.next = page[result.record_count - 1].key;
      break;
    }
    page[result.record_count++] = shown(&map->records[i]);
  }
  result.records = page;
  result.revision = map->revision;
  answer(map, op, &result);
  return FC_OK;
}

static void tell_watches(map_cmdb* map, const fc_record* record, uint32_t kind) {
  int i;
  for (i = 0; i < map->watch_count; ++i) {
    fc_result event;
    char key[256];
    snprintf(key, sizeof(key), "%s", as_c(record->key));
    if (!starts_with(key, text(map->watches[i].prefix))) continue;
    memset(&event, 0, sizeof(event));
    event.watch_kind = kind;
    event.records = record;
    event.record_count = 1;
    event.revision = map->revision;
    answer(map, map->watches[i].op, &event);
  }
}

static void apply(map_cmdb* map, const fc_mutation* mutation) {
  map_record* record = find(map, mutation->key);
  fc_record out;
  if (mutation->kind == FC_DELETE) {
    if (record == NULL) return;
    out = shown_or_absent(map, mutation->key);
    out.revision = map->revision;
    tell_watches(map, &out, FC_WATCH_DELETE);
    *record = map->records[--map->record_count];
    return;
  }
  if (record == NULL) {
    CHECK(map->record_count < kMostRecords);
    record = &map->records[map->record_count++];
    snprintf(record->key, sizeof(record->key), "%s", as_c(mutation->key));
  }
  CHECK(mutation->value.length < sizeof(record->value));
  snprintf(record->value, sizeof(record->value), "%.*s", (int)mutation->value.length, mutation->value.data);
  record->revision = map->revision;
  out = shown(record);
  tell_watches(map, &out, FC_WATCH_PUT);
}

static int32_t map_txn(void* user_data, fc_op op, const fc_compare* compares, uint32_t compare_count,
                       const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline) {
  map_cmdb* const map = user_data;
  fc_record current[16];
  fc_result result;
  uint32_t i;
  int holds = 1;
  ++map->calls;
  CHECK(deadline > 0);
  CHECK(compare_count <= 16);
  memset(&result, 0, sizeof(result));
  for (i = 0; i < compare_count; ++i) {
    current[i] = shown_or_absent(map, compares[i].key);
    if (current[i].revision != compares[i].revision) holds = 0;
  }
  if (!holds) {
    result.code = FC_E_CONFLICT;
    result.records = current;
    result.record_count = compare_count;
    answer(map, op, &result);
    return FC_OK;
  }
  ++map->revision;
  for (i = 0; i < mutation_count; ++i) apply(map, &mutations[i]);
  result.revision = map->revision;
  answer(map, op, &result);
  return FC_OK;
}

static int32_t map_watch_prefix(void* user_data, fc_op op, fc_str prefix, uint64_t after_revision) {
  map_cmdb* const map = user_data;
  ++map->calls;
  if (after_revision != map->revision) {
    /* It keeps no history: what may have been missed is to be listed. */
    fc_result event;
    memset(&event, 0, sizeof(event));
    event.watch_kind = FC_WATCH_RESYNC;
    if (after_revision < map->revision) answer(map, op, &event);
  }
  CHECK(map->watch_count < kMostWatches);
  map->watches[map->watch_count].op = op;
  snprintf(map->watches[map->watch_count].prefix, sizeof(map->watches[0].prefix), "%s", as_c(prefix));
  ++map->watch_count;
  return FC_OK;
}

static void map_cancel(void* user_data, fc_op op) {
  map_cmdb* const map = user_data;
  int i;
  ++map->cancels;
  for (i = 0; i < map->watch_count; ++i) {
    if (map->watches[i].op != op) continue;
    map->watches[i] = map->watches[--map->watch_count];
    return;
  }
}

static void map_destroy(void* user_data) {
  map_cmdb* const map = user_data;
  ++map->destroyed;
  CHECK_INT(0, map->watch_count);
}

const fc_cmdb_vtable kMapCmdb = {sizeof(fc_cmdb_vtable),
                                 0,
                                 map_get,
                                 map_list,
                                 map_txn,
                                 map_watch_prefix,
                                 map_cancel,
                                 map_destroy,
                                 NULL,
                                 NULL,
                                 NULL};

map_cmdb* make_map(fc_engine** engine, int own_thread) {
  map_cmdb* const map = calloc(1, sizeof(*map));
  CHECK(map != NULL);
  map->engine = engine;
  map->own_thread = own_thread;
  map->revision = 1;
  map->answers = calloc(kMostAnswers, sizeof(map->answers[0]));
  CHECK(map->answers != NULL);
  pthread_mutex_init(&map->mutex, NULL);
  pthread_cond_init(&map->ready, NULL);
  if (own_thread) CHECK_INT(0, pthread_create(&map->thread, NULL, answer_from_a_thread, map));
  return map;
}

void stop_answers(map_cmdb* map) {
  if (!map->own_thread) return;
  pthread_mutex_lock(&map->mutex);
  map->stopping = 1;
  pthread_cond_broadcast(&map->ready);
  pthread_mutex_unlock(&map->mutex);
  CHECK_INT(0, pthread_join(map->thread, NULL));
  map->own_thread = 0;
}

void free_map(map_cmdb* map) {
  pthread_cond_destroy(&map->ready);
  pthread_mutex_destroy(&map->mutex);
  free(map->answers);
  free(map);
}
