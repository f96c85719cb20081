#include "lib/runtime/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

// The child runs on the parent's memory until it calls execve: a sanitizer's bookkeeping for a frame that
// never returns would stay behind in the parent.
#define FASTCONTAINER_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

namespace fastcontainer {
namespace {

constexpr size_t kStackSize = 64 * 1024;

enum class Stage : int { kNone, kSession, kInput, kOutput, kDirectory, kProgram };

// Everything that the child touches, made before it exists: it may not allocate.
struct ChildPlan {
  const char* const* programs;
  char* const* arguments;
  char* const* environment;
  const char* directory;
  int output;
  int cgroup_procs;
  const int* limit_procs;
  size_t limit_procs_count;
  // Written by the child, read by the parent, which sleeps meanwhile (CLONE_VFORK).
  volatile Stage failed;
  volatile int error;
  volatile bool in_cgroup;
  volatile bool limited;
};

FASTCONTAINER_IN_CHILD void ResetSignals() {
  struct sigaction action;
  std::memset(&action, 0, sizeof(action));
  action.sa_handler = SIG_DFL;
  // Handlers must go before the mask does: they would run on the parent's memory.
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

FASTCONTAINER_IN_CHILD void CloseOnExecAbove2() {
  if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  const long limit = sysconf(_SC_OPEN_MAX);  // before Linux 5.11
  for (int fd = 3; fd < limit; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] FASTCONTAINER_IN_CHILD void Fail(ChildPlan* plan, Stage stage, int error) {
  plan->failed = stage;
  plan->error = error;
  _exit(127);
}

FASTCONTAINER_IN_CHILD int RunChild(void* opaque) {
  auto* plan = static_cast<ChildPlan*>(opaque);
  ResetSignals();
  if (setsid() < 0) Fail(plan, Stage::kSession, errno);
  if (plan->cgroup_procs >= 0) plan->in_cgroup = write(plan->cgroup_procs, "0", 1) == 1;
  for (size_t i = 0; i < plan->limit_procs_count; ++i)
    if (write(plan->limit_procs[i], "0", 1) != 1) plan->limited = false;
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (input < 0 || dup2(input, 0) < 0) Fail(plan, Stage::kInput, errno);
  if (input == 0) fcntl(0, F_SETFD, 0);
  if (dup2(plan->output, 1) < 0 || dup2(plan->output, 2) < 0) Fail(plan, Stage::kOutput, errno);
  if (plan->directory != nullptr && chdir(plan->directory) != 0) Fail(plan, Stage::kDirectory, errno);
  CloseOnExecAbove2();
  int worst = ENOENT;
  for (const char* const* program = plan->programs; *program != nullptr; ++program) {
    execve(*program, plan->arguments, plan->environment);
    if (errno == ENOENT || errno == ENOTDIR) continue;
    if (errno == EACCES) {
      // As in execvp, a file that may not be run hides none that may; a folder that may not be searched holds
      // nothing.
      if (plan->programs[1] == nullptr || access(*program, F_OK) == 0) worst = EACCES;
      continue;
    }
    worst = errno;
    break;
  }
  Fail(plan, Stage::kProgram, worst);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status ProgramError(const SpawnRequest& request, int error) {
  const std::string name = request.arguments.empty() ? "" : request.arguments[0];
  if (error == ENOENT) {
    for (const std::string& path : request.programs)
      if (path[0] == '/' && access(path.c_str(), F_OK) == 0)
        return absl::NotFoundError(absl::StrCat("the interpreter of ", path, " does not exist"));
    return absl::NotFoundError(absl::StrCat("there is no command '", name, "'"));
  }
  if (error == EACCES) return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not executable"));
  if (error == EAGAIN || error == ENOMEM || error == ENFILE || error == EMFILE)
    return absl::ResourceExhaustedError(absl::StrCat("cannot run '", name, "': ", std::strerror(error)));
  return absl::InvalidArgumentError(absl::StrCat("cannot run '", name, "': ", std::strerror(error)));
}

absl::Status ChildError(const SpawnRequest& request, Stage stage, int error) {
  if (stage == Stage::kProgram) return ProgramError(request, error);
  if (stage == Stage::kDirectory)
    return absl::InvalidArgumentError(
        absl::StrCat("the directory '", request.directory, "': ", std::strerror(error)));
  return absl::InternalError(
      absl::StrCat("cannot prepare a process (step ", static_cast<int>(stage), "): ", std::strerror(error)));
}

// clone3(2), for which the C library has no function: the child runs RunChild() on `stack`, in the cgroup.
// Moving it there later would wait until every processor has been seen idle or switching (the writer's side
// of cgroup_threadgroup_rwsem): 10 to 20 ms. Returns -1 and errno.
#if defined(__x86_64__) || defined(__aarch64__)
FASTCONTAINER_IN_CHILD pid_t CloneInto(int cgroup, void* stack, ChildPlan* plan, int* pidfd) {
  clone_args arguments{};
  arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_INTO_CGROUP;
  arguments.pidfd = reinterpret_cast<uintptr_t>(pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.stack = reinterpret_cast<uintptr_t>(stack);
  arguments.stack_size = kStackSize;
  arguments.cgroup = static_cast<unsigned>(cgroup);
#if defined(__x86_64__)
  long result = SYS_clone3;
  register int (*run)(void*) __asm__("r12") = RunChild;
  register void* argument __asm__("r13") = plan;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "hlt\n"
      "1:"
      : "+a"(result)
      : "D"(&arguments), "S"(sizeof(arguments)), "r"(run), "r"(argument)
      : "rcx", "r11", "memory", "cc");
#else
  register long result __asm__("x0") = reinterpret_cast<long>(&arguments);
  register long size __asm__("x1") = sizeof(arguments);
  register long number __asm__("x8") = SYS_clone3;
  register int (*run)(void*) __asm__("x19") = RunChild;
  register void* argument __asm__("x20") = plan;
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x20\n\t"
      "blr x19\n\t"
      "brk #0\n"
      "1:"
      : "+r"(result)
      : "r"(size), "r"(number), "r"(run), "r"(argument)
      : "x30", "memory", "cc");
#endif
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}
#else
pid_t CloneInto(int, void*, ChildPlan*, int*) {
  errno = ENOSYS;
  return -1;
}
#endif

// clone(2) as vfork does it, with a descriptor for the child made in the same step. Returns -1 and errno.
pid_t CloneAndWaitForExec(int cgroup, ChildPlan* plan, int* pidfd) {
  void* stack =
      mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -1;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = -1;
  if (cgroup >= 0) {
    const int procs = std::exchange(plan->cgroup_procs, -1);
    pid = CloneInto(cgroup, stack, plan, pidfd);
    plan->in_cgroup = pid >= 0;
    plan->cgroup_procs = procs;
  }
  if (pid < 0)  // an older kernel, a filter of system calls, a cgroup that takes nobody
    pid = clone(RunChild, static_cast<char*>(stack) + kStackSize,
                CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, plan, pidfd);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stack, kStackSize);
  errno = error;
  return pid;
}

}  // namespace

absl::StatusOr<SpawnedProcess> Spawn(const SpawnRequest& request) {
  const std::vector<char*> programs = Pointers(request.programs);
  const std::vector<char*> arguments = Pointers(request.arguments);
  const std::vector<char*> environment = Pointers(request.environment);
  // Above 2, so that no dup2 in the child closes it.
  const UniqueFd output(fcntl(request.output, F_DUPFD_CLOEXEC, 3));
  if (!output.valid())
    return absl::ResourceExhaustedError(absl::StrCat("no descriptor for the output: ", std::strerror(errno)));
  ChildPlan plan{programs.data(),
                 arguments.data(),
                 environment.data(),
                 request.directory.empty() ? nullptr : request.directory.c_str(),
                 output.get(),
                 request.cgroup_procs,
                 request.limit_procs.data(),
                 request.limit_procs.size(),
                 Stage::kNone,
                 0,
                 false,
                 true};
  int pidfd = -1;
  const pid_t pid = CloneAndWaitForExec(request.cgroup, &plan, &pidfd);
  if (pid < 0)
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a process: ", std::strerror(errno)));
  SpawnedProcess spawned{pid, UniqueFd(pidfd), plan.in_cgroup, plan.limited};
  if (plan.failed == Stage::kNone) return spawned;
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return ChildError(request, plan.failed, plan.error);
}

}  // namespace fastcontainer
