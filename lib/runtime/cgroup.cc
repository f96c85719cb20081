#include "lib/runtime/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/runtime/proc.h"
#include "lib/runtime/state_folder.h"

namespace fastcontainer {
namespace {

// Of the roots that we make ourselves; one that was given to us may have limits set and stays.
constexpr std::string_view kRootPrefix = "fastcontainer-";

std::vector<std::string> Children(const std::string& path) {
  std::vector<std::string> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (folder == nullptr) return children;
  while (const dirent* entry = readdir(folder.get()))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
      children.push_back(absl::StrCat(path, "/", entry->d_name));
  return children;
}

bool ListHas(absl::string_view list, absl::string_view word) {
  const std::vector<absl::string_view> words = absl::StrSplit(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// This process's own cgroup, as a folder; nothing if its hierarchy is not mounted, or only a part of it
// without us. An empty controller stands for version 2.
std::optional<std::string> OwnCgroup(absl::string_view controller) {
  std::string own;
  const std::string memberships = ReadSmallFile("/proc/self/cgroup").value_or("");
  for (const absl::string_view line : absl::StrSplit(memberships, '\n')) {
    // <hierarchy>:<controllers>:<path>
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() == 3 && (controller.empty() ? fields[0] == "0" : ListHas(fields[1], controller)))
      own = std::string(fields[2]);
  }
  if (own.empty()) return std::nullopt;
  const std::string mounts = ReadSmallFile("/proc/self/mountinfo").value_or("");
  for (const absl::string_view line : absl::StrSplit(mounts, '\n')) {
    // 36 35 0:26 <root> <mount point> <options> ... - <type> <source> <super options>
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> fields = absl::StrSplit(halves.first, ' ');
    const std::vector<absl::string_view> file_system = absl::StrSplit(halves.second, ' ');
    if (fields.size() < 5 || file_system.size() < 3) continue;
    if (file_system[0] != (controller.empty() ? "cgroup2" : "cgroup")) continue;
    if (!controller.empty() && !ListHas(file_system[2], controller)) continue;
    absl::string_view below = own;
    if (fields[3] != "/" && !absl::ConsumePrefix(&below, fields[3])) continue;
    return absl::StrCat(fields[4], below == "/" ? absl::string_view() : below);
  }
  return std::nullopt;
}

}  // namespace

bool CgroupPopulated(const std::string& path) {
  return absl::StrContains(ReadSmallFile(path + "/cgroup.events").value_or(""), "populated 1");
}

std::vector<pid_t> CgroupProcesses(const std::string& path) {
  std::vector<pid_t> pids;
  const std::string text = ReadSmallFile(path + "/cgroup.procs").value_or("");
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    pid_t pid = 0;
    // 0 stands for a process outside of this pid namespace.
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
  }
  return pids;
}

void KillCgroup(const std::string& path) {
  if (WriteCgroupFile(path + "/cgroup.kill", "1")) return;
  // Before Linux 5.14. A process that is forked meanwhile is found by the caller's next round.
  for (const pid_t pid : CgroupProcesses(path)) kill(pid, SIGKILL);
  for (const std::string& child : Children(path)) KillCgroup(child);
}

void RemoveCgroup(const std::string& path) {
  for (const std::string& child : Children(path)) RemoveCgroup(child);
  rmdir(path.c_str());
}

absl::StatusOr<CgroupRoot> CgroupRoot::Open(const std::string& path, const std::string& name) {
  std::string root = path;
  if (root.empty()) {
    const std::optional<std::string> own = OwnCgroup("");
    if (!own) return absl::NotFoundError("cgroup v2 is not mounted");
    root = absl::StrCat(*own, "/", OwnRootName(name));
  }
  if (mkdir(root.c_str(), 0755) != 0 && errno != EEXIST)
    return absl::PermissionDeniedError(absl::StrCat("cannot make ", root, ": ", std::strerror(errno)));
  if (access((root + "/cgroup.procs").c_str(), W_OK) != 0 || access(root.c_str(), W_OK) != 0)
    return absl::PermissionDeniedError(absl::StrCat(root, " is not a writable cgroup of version 2"));
  if (path.empty()) rmdir(root.c_str());  // it exists while it holds instances
  return CgroupRoot(root);
}

void RemoveInstanceCgroup(const std::string& path) {
  RemoveCgroup(path);
  const std::string root = path.substr(0, path.rfind('/'));
  const std::string_view name = std::string_view(root).substr(root.rfind('/') + 1);
  if (name.substr(0, kRootPrefix.size()) == kRootPrefix) rmdir(root.c_str());
}

std::string InstanceCgroup(const std::string& root, std::string_view instance) {
  // The prefix keeps ids like "cgroup.procs" apart from the kernel's own files.
  return absl::StrCat(root, "/i-", FileNameFor(instance));
}

absl::StatusOr<UniqueFd> MakeInstanceCgroup(const std::string& root, std::string_view instance) {
  const std::string path = InstanceCgroup(root, instance);
  mkdir(root.c_str(), 0755);
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    return absl::PermissionDeniedError(absl::StrCat("cannot make ", path, ": ", std::strerror(errno)));
  UniqueFd procs(open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (procs.valid()) return procs;
  const int error = errno;
  rmdir(path.c_str());
  return absl::PermissionDeniedError(absl::StrCat("cannot use ", path, ": ", std::strerror(error)));
}

bool WriteCgroupFile(const std::string& path, std::string_view text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string OwnCgroupV1(std::string_view controller) {
  return OwnCgroup(absl::string_view(controller.data(), controller.size())).value_or("");
}

std::string OwnRootName(const std::string& name) {
  return absl::StrCat(absl::string_view(kRootPrefix.data(), kRootPrefix.size()), name);
}

std::string CgroupRoot::PathFor(std::string_view instance) const { return InstanceCgroup(path_, instance); }

absl::StatusOr<UniqueFd> CgroupRoot::Make(std::string_view instance) const {
  return MakeInstanceCgroup(path_, instance);
}

}  // namespace fastcontainer
