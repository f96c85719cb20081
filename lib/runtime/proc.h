// What /proc says about processes (proc(5)), and the small file reads that go with it.
#ifndef FASTCONTAINER_LIB_RUNTIME_PROC_H_
#define FASTCONTAINER_LIB_RUNTIME_PROC_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fastcontainer {

struct ProcessStat {
  pid_t pid = 0;
  char state = '?';
  pid_t parent = 0;
  pid_t session = 0;
  int threads = 0;
  uint64_t start_time =
      0;  // clock ticks since boot: with the pid and the boot id it names a process for ever

  // A process whose first thread has ended looks like a zombie while its other threads go on.
  bool dead() const { return (state == 'Z' && threads <= 1) || state == 'X' || state == 'x'; }
};

// Nothing if there is no such process.
std::optional<ProcessStat> ReadProcessStat(pid_t pid);

// The value of FASTCONTAINER_INSTANCE in the environment that the process was started with; "" if there is
// none, or it may not be read, or the process has overwritten it.
std::string ReadNonce(pid_t pid);

// pidfd_open(2) and pidfd_send_signal(2) as system calls: glibc 2.36 declares its functions without C
// linkage.
int OpenPidfd(pid_t pid);
int SignalPidfd(int pidfd, int signal);

// The children of this process, of all its threads; empty where the kernel does not tell.
std::vector<pid_t> OwnChildren();

// Random, made by the kernel at each boot.
std::string ReadBootId();

// The file's content, at most `limit` bytes; nothing on any error.
std::optional<std::string> ReadSmallFile(const std::string& path, size_t limit = 1 << 20);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_PROC_H_
