#include "lib/runtime/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {
namespace {

constexpr std::string_view kNonce = "FASTCONTAINER_INSTANCE=";

}  // namespace

std::optional<std::string> ReadSmallFile(const std::string& path, size_t limit) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  std::string content;
  std::array<char, 4096> buffer;
  while (content.size() < limit) {
    const ssize_t got = read(fd.get(), buffer.data(), std::min(buffer.size(), limit - content.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    content.append(buffer.data(), static_cast<size_t>(got));
  }
  return content;
}

std::optional<ProcessStat> ReadProcessStat(pid_t pid) {
  const std::optional<std::string> text = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"), 4096);
  if (!text) return std::nullopt;
  // The second field is the program's name in parentheses, which may itself have spaces and parentheses.
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(*text).substr(name_end + 1), ' ', absl::SkipEmpty());
  // fields[0] is field 3 of proc(5), the state.
  ProcessStat stat;
  stat.pid = pid;
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[1], &stat.parent) ||
      !absl::SimpleAtoi(fields[3], &stat.session) || !absl::SimpleAtoi(fields[17], &stat.threads) ||
      !absl::SimpleAtoi(fields[19], &stat.start_time))
    return std::nullopt;
  stat.state = fields[0][0];
  return stat;
}

std::string ReadNonce(pid_t pid) {
  const std::optional<std::string> text = ReadSmallFile(absl::StrCat("/proc/", pid, "/environ"));
  if (!text) return "";
  size_t at = 0;
  while (at < text->size()) {
    size_t end = text->find('\0', at);
    if (end == std::string::npos) end = text->size();
    const std::string_view entry = std::string_view(*text).substr(at, end - at);
    if (entry.substr(0, kNonce.size()) == kNonce) return std::string(entry.substr(kNonce.size()));
    at = end + 1;
  }
  return "";
}

int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

int SignalPidfd(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

std::vector<pid_t> OwnChildren() {
  std::vector<pid_t> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir("/proc/self/task"), closedir);
  if (tasks == nullptr) return children;
  while (const dirent* task = readdir(tasks.get())) {
    if (task->d_name[0] == '.') continue;
    const auto text = ReadSmallFile(absl::StrCat("/proc/self/task/", task->d_name, "/children"));
    if (!text) continue;
    for (const absl::string_view word : absl::StrSplit(*text, ' ', absl::SkipWhitespace())) {
      pid_t pid = 0;
      if (absl::SimpleAtoi(word, &pid)) children.push_back(pid);
    }
  }
  return children;
}

std::string ReadBootId() {
  const std::string text = ReadSmallFile("/proc/sys/kernel/random/boot_id").value_or("");
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace fastcontainer
