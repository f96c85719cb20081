#include "lib/runtime/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr size_t kMostLeaders = 16'384;
constexpr size_t kCgroupBytes = 512;
constexpr Nanos kLongestWait = 1 * kSecond;

enum class Order : int { kAdd, kRemove, kUntil };

struct Command {
  Order order = Order::kUntil;
  pid_t leader = 0;
  Nanos until = 0;
  char cgroup[kCgroupBytes] = {};  // its cgroup.kill; "": none
};

struct Guarded {
  pid_t leader;
  char cgroup[kCgroupBytes];
};

// All that follows until Create() runs in the guard, a copy of a process that may have had other threads: it
// allocates nothing, and calls only what is safe there.
Nanos Now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + t.tv_nsec;
}

void KillAll(const Guarded* guarded, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (guarded[i].cgroup[0] != '\0') {
      const int file = open(guarded[i].cgroup, O_WRONLY | O_CLOEXEC);
      if (file >= 0 && write(file, "1", 1) < 0) kill(guarded[i].leader, SIGKILL);
      if (file >= 0) close(file);
    }
    kill(-guarded[i].leader, SIGKILL);
  }
}

void Obey(const Command& command, Guarded* guarded, size_t* count, Nanos* until) {
  if (command.order == Order::kUntil) *until = command.until;
  if (command.order == Order::kAdd && *count < kMostLeaders) {
    guarded[*count].leader = command.leader;
    std::memcpy(guarded[*count].cgroup, command.cgroup, kCgroupBytes);
    ++*count;
  }
  if (command.order != Order::kRemove) return;
  for (size_t i = 0; i < *count; ++i)
    if (guarded[i].leader == command.leader) guarded[i--] = guarded[--*count];
}

[[noreturn]] void Watch(int socket, Guarded* guarded) {
  size_t count = 0;
  Nanos until = 0;
  for (;;) {
    const Nanos left = until == 0 ? kLongestWait : until - Now();
    if (left <= 0) {
      KillAll(guarded, count);
      until = 0;
      continue;
    }
    pollfd p{socket, POLLIN, 0};
    // Rounded up: a kill too early is one too many, one too late is within the margin.
    const int ready = poll(&p, 1, static_cast<int>(std::min(left, kLongestWait) / kMillisecond + 1));
    if (ready <= 0) continue;
    Command command;
    const ssize_t got = recv(socket, &command, sizeof(command), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    Obey(command, guarded, &count, &until);
  }
  KillAll(guarded, count);
  _exit(0);
}

[[noreturn]] void BecomeGuard(int socket, Guarded* guarded) {
  setsid();
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_IGN);
  prctl(PR_SET_NAME, "fc-guard");
  // What the dispatcher holds open (its sockets, the lock of its state) must go with it.
  if (dup2(socket, 0) < 0) _exit(1);
  if (syscall(SYS_close_range, 1u, ~0u, 0u) != 0) {
    const long most = sysconf(_SC_OPEN_MAX);
    for (int fd = 1; fd < most; ++fd) close(fd);
  }
  Watch(0, guarded);
}

absl::Status Send(int socket, const Command& command) {
  if (send(socket, &command, sizeof(command), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(command)))
    return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the guard of `single` containers: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessGuard>> ProcessGuard::Create() {
  const auto failed = [](const char* what) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the guard of `single` containers: ", what, ": ", std::strerror(errno)));
  };
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return failed("socketpair");
  UniqueFd own(pair[0]);
  UniqueFd guards(pair[1]);
  void* const memory = mmap(nullptr, kMostLeaders * sizeof(Guarded), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return failed("mmap");
  const pid_t child = fork();
  if (child == 0) {
    // Twice, so that nobody has to wait for it.
    if (fork() == 0) BecomeGuard(guards.get(), static_cast<Guarded*>(memory));
    _exit(0);
  }
  munmap(memory, kMostLeaders * sizeof(Guarded));
  if (child < 0) return failed("fork");
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return std::unique_ptr<ProcessGuard>(new ProcessGuard(std::move(own)));
}

absl::Status ProcessGuard::Add(pid_t leader, const std::string& cgroup) {
  Command command;
  command.order = Order::kAdd;
  command.leader = leader;
  const std::string file = cgroup.empty() ? "" : cgroup + "/cgroup.kill";
  if (file.size() < kCgroupBytes) std::memcpy(command.cgroup, file.c_str(), file.size() + 1);
  return Send(socket_.get(), command);
}

absl::Status ProcessGuard::Remove(pid_t leader) {
  Command command;
  command.order = Order::kRemove;
  command.leader = leader;
  return Send(socket_.get(), command);
}

absl::Status ProcessGuard::Until(Nanos time) {
  Command command;
  command.until = time;
  return Send(socket_.get(), command);
}

}  // namespace fastcontainer
