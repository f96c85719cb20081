// Holds containers to the limits of their specs by the kernel's memory and CPU controllers: those of the
// instance's own cgroup (Documentation/admin-guide/cgroup-v2.rst), or, where these are still bound to
// version 1 (admin-guide/cgroup-v1/), a cgroup of each.
#ifndef FASTCONTAINER_LIB_RUNTIME_LIMITS_H_
#define FASTCONTAINER_LIB_RUNTIME_LIMITS_H_

#include <string>
#include <string_view>
#include <vector>

#include "fastcontainer/records.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

class LimitCgroups {
 public:
  // The folders in which instances have theirs; "": there is none. Those of version 1 exist while they hold
  // an instance.
  struct Roots {
    std::string v2;
    std::string memory;
    std::string cpu;
  };
  // `v2`: as CgroupRoot::path(). `name`: of the folders below this process's own cgroups of version 1.
  static Roots FindRoots(const std::string& v2, const std::string& name);

  LimitCgroups() = default;
  explicit LimitCgroups(Roots roots) : roots_(std::move(roots)) {}

  // The cgroup.procs that the process must enter are appended to `procs`. Returns the limits that no
  // controller could be told, by their names in the spec.
  std::vector<std::string_view> Set(std::string_view instance, const Limits& limits,
                                    std::vector<UniqueFd>* procs) const;
  // When nothing of the instance is left; no effect where Set() has made nothing.
  void Remove(std::string_view instance) const;

 private:
  struct Setting {
    const char* file;
    std::string value;
  };
  bool SetV2(std::string_view instance, const char* controller, const Setting& setting) const;

  Roots roots_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_LIMITS_H_
