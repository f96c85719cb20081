#include "lib/runtime/guard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace fastcontainer {
namespace {

Nanos Monotonic() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + t.tv_nsec;
}

// A group of its own, as a container's leader is.
pid_t StartGroup() {
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    for (;;) pause();
  }
  setpgid(pid, pid);
  return pid;
}

// The signal that ended it, as soon as it has ended.
int EndOf(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

bool Runs(pid_t pid) { return waitpid(pid, nullptr, WNOHANG) == 0; }

TEST(ProcessGuard, KillsWhenTheTimePassesThatItWasToldLast) {
  auto guard = ProcessGuard::Create();
  ASSERT_TRUE(guard.ok()) << guard.status();
  const pid_t first = StartGroup();
  const pid_t released = StartGroup();
  ASSERT_TRUE((*guard)->Add(first, "").ok());
  ASSERT_TRUE((*guard)->Add(released, "").ok());
  ASSERT_TRUE((*guard)->Remove(released).ok());
  ASSERT_TRUE((*guard)->Until(Monotonic() + 60 * kSecond).ok());
  EXPECT_TRUE(Runs(first));
  ASSERT_TRUE((*guard)->Until(Monotonic() + kMillisecond).ok());
  EXPECT_EQ(EndOf(first), SIGKILL);
  EXPECT_TRUE(Runs(released));
  kill(released, SIGKILL);
  EndOf(released);
}

TEST(ProcessGuard, KillsWhenItsDispatcherEnds) {
  const pid_t pid = StartGroup();  // before: without an exec it would inherit the guard's socket
  auto guard = ProcessGuard::Create();
  ASSERT_TRUE(guard.ok()) << guard.status();
  ASSERT_TRUE((*guard)->Add(pid, "/nonexistent").ok());
  ASSERT_TRUE((*guard)->Until(Monotonic() + 60 * kSecond).ok());
  guard->reset();
  EXPECT_EQ(EndOf(pid), SIGKILL);
}

}  // namespace
}  // namespace fastcontainer
