// Ownership by cgroup v2 (Linux Documentation/admin-guide/cgroup-v2.rst): what a container starts, however it
// detaches itself, stays in the container's cgroup.
#ifndef FASTCONTAINER_LIB_RUNTIME_CGROUP_H_
#define FASTCONTAINER_LIB_RUNTIME_CGROUP_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

// The folder of one cgroup. The functions take its path, so that a record of an earlier incarnation serves as
// well.
bool CgroupPopulated(
    const std::string& path);  // has living processes, also in its children; false if it is gone
std::vector<pid_t> CgroupProcesses(const std::string& path);  // its own, not its children's
void KillCgroup(const std::string& path);                     // SIGKILL for all, its children's too
void RemoveCgroup(const std::string& path);                   // with its children; no effect while populated
// The same for a path of InstanceCgroup(); a root of our own making goes with its last instance.
void RemoveInstanceCgroup(const std::string& path);
std::string InstanceCgroup(const std::string& root, std::string_view instance);
// Makes its folder, and `root`, and returns its open cgroup.procs. Errors: PermissionDenied.
absl::StatusOr<UniqueFd> MakeInstanceCgroup(const std::string& root, std::string_view instance);
bool WriteCgroupFile(const std::string& path, std::string_view text);

// This process's own cgroup in the hierarchy of a controller of version 1, as a folder; "" if it is not bound
// to version 1 or not mounted here.
std::string OwnCgroupV1(std::string_view controller);
// What a root of our own making is called.
std::string OwnRootName(const std::string& name);

// The folder in which the instances' cgroups are made.
class CgroupRoot {
 public:
  // `path`, or, if it is empty, "fastcontainer-<name>" below this process's own cgroup: that is made when the
  // first instance comes and removed with the last. PermissionDenied or NotFound where it is not allowed or
  // cgroup v2 is not mounted.
  static absl::StatusOr<CgroupRoot> Open(const std::string& path, const std::string& name);

  std::string PathFor(std::string_view instance) const;
  // Makes the folder and returns its open cgroup.procs.
  absl::StatusOr<UniqueFd> Make(std::string_view instance) const;
  const std::string& path() const { return path_; }

 private:
  explicit CgroupRoot(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_CGROUP_H_
