/* A warm route costs no system call and no allocation: the kernel kills a child that makes one. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int allocations;

#if !SANITIZED
void* __libc_malloc(size_t size);
void* malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
#endif

enum { kRoutes = 1000 };

static void route_and_end(fc_engine* engine) {
  fc_ticket ticket = FC_TICKET_INIT;
  fc_outcome outcome;
  memset(&outcome, 0, sizeof(outcome));
  outcome.struct_size = sizeof(outcome);
  outcome.duration_ns = 1000;
  if (fc_route(engine, text("site.test"), NULL, &ticket, NULL, on_route, NULL) != FC_OK) syscall(SYS_exit, 2);
  if (fc_ticket_alive(engine, ticket.id) != FC_OK) syscall(SYS_exit, 3);
  if (fc_ticket_end(engine, ticket.id, &outcome) != FC_OK) syscall(SYS_exit, 4);
}

/* The kernel's strict mode would forbid to read the time stamp counter too, hence a filter. */
static int forbid_all_but_exit(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program;
  program.len = sizeof(code) / sizeof(code[0]);
  program.filter = code;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* Runs `body` where the kernel permits to exit and nothing else. */
static int in_a_cell(void (*body)(fc_engine*), fc_engine* engine) {
  int status = -1;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (forbid_all_but_exit() != 0) _exit(77);
    body(engine);
    syscall(SYS_exit, 0);
  }
  CHECK_INT(child, waitpid(child, &status, 0));
  return status;
}

static void read_the_clock(fc_engine* engine) {
  struct timespec now;
  (void)engine;
  clock_gettime(CLOCK_MONOTONIC, &now);
}

static void route_many(fc_engine* engine) {
  int i;
  for (i = 0; i < kRoutes; ++i) route_and_end(engine);
}

int main(void) {
  fake_runtime runtime = {0};
  fc_engine_options options;
  fc_engine* engine = NULL;
  fc_dispatcher* dispatcher;
  route_result first;
  int status, i, before;
  if (SANITIZED) return 77; /* the sanitizer's own allocations and calls */
  status = in_a_cell(read_the_clock, NULL);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    printf("the clock needs a system call here, or there is no seccomp\n");
    return 77;
  }
  init_options(&options, "memory:");
  options.freshness_ns = 20000000000u; /* a loaded machine must not make the host stale in between */
  CHECK_INT(FC_OK, fc_engine_create(&engine, &options, NULL));
  put_container(engine, "site");
  dispatcher = make_dispatcher(engine, &runtime, "h1", "127.0.0.1");
  CHECK_INT(FC_OK, route_and_wait(engine, "site.test", &first));
  /* Once outside: timers of the first ticket are armed, tables have their size. */
  CHECK_INT(FC_OK, fc_ticket_alive(engine, first.ticket.id));
  route_and_end(engine);
  before = allocations;
  for (i = 0; i < kRoutes; ++i) route_and_end(engine);
  CHECK_INT(before, allocations);
  CHECK_INT(FC_OK, fc_ticket_alive(engine, first.ticket.id));
  status = in_a_cell(route_many, engine);
  CHECK(WIFEXITED(status));
  CHECK_INT(0, WEXITSTATUS(status));
  fc_dispatcher_destroy(dispatcher);
  fc_engine_destroy(engine);
  return 0;
}
