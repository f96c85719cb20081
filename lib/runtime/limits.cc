#include "lib/runtime/limits.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/runtime/cgroup.h"

namespace fastcontainer {
namespace {

constexpr uint64_t kPeriod = 100'000;     // of the CPU controller, µs: the kernel's own default
constexpr uint64_t kLeastQuota = 1'000;   // µs: the kernel refuses less
constexpr double kMostCores = 1'000'000;  // so that the quota is a number in any case

std::string Quota(double cores) {
  const auto quota = static_cast<uint64_t>(std::min(cores, kMostCores) * static_cast<double>(kPeriod));
  return absl::StrCat(std::max(quota, kLeastQuota));
}

std::string V1Root(const char* controller, const std::string& name) {
  const std::string own = OwnCgroupV1(controller);
  return own.empty() ? "" : absl::StrCat(own, "/", OwnRootName(name));
}

}  // namespace

LimitCgroups::Roots LimitCgroups::FindRoots(const std::string& v2, const std::string& name) {
  return {v2, V1Root("memory", name), V1Root("cpu", name)};
}

// The instance's own cgroup is there already. A controller that the folder above it does not have, or that is
// bound to version 1, has no such file in it.
bool LimitCgroups::SetV2(std::string_view instance, const char* controller, const Setting& setting) const {
  if (roots_.v2.empty()) return false;
  WriteCgroupFile(roots_.v2 + "/cgroup.subtree_control", absl::StrCat("+", controller));
  return WriteCgroupFile(absl::StrCat(InstanceCgroup(roots_.v2, instance), "/", setting.file), setting.value);
}

std::vector<std::string_view> LimitCgroups::Set(std::string_view instance, const Limits& limits,
                                                std::vector<UniqueFd>* procs) const {
  const auto set_v1 = [&](const std::string& root, std::initializer_list<Setting> settings) {
    if (root.empty()) return false;
    absl::StatusOr<UniqueFd> made = MakeInstanceCgroup(root, instance);
    bool good = made.ok();
    for (const Setting& setting : settings)
      good = good &&
             WriteCgroupFile(absl::StrCat(InstanceCgroup(root, instance), "/", setting.file), setting.value);
    if (good)
      procs->push_back(*std::move(made));
    else
      RemoveInstanceCgroup(InstanceCgroup(root, instance));
    return good;
  };
  std::vector<std::string_view> unset;
  if (limits.memory != 0) {
    const std::string bytes = absl::StrCat(limits.memory);
    if (!SetV2(instance, "memory", {"memory.max", bytes}) &&
        !set_v1(roots_.memory, {{"memory.limit_in_bytes", bytes}}))
      unset.push_back("limits.memory");
  }
  if (limits.cpu > 0) {
    const std::string quota = Quota(limits.cpu);
    const std::string period = absl::StrCat(kPeriod);
    if (!SetV2(instance, "cpu", {"cpu.max", absl::StrCat(quota, " ", period)}) &&
        !set_v1(roots_.cpu, {{"cpu.cfs_period_us", period}, {"cpu.cfs_quota_us", quota}}))
      unset.push_back("limits.cpu");
  }
  return unset;
}

void LimitCgroups::Remove(std::string_view instance) const {
  for (const std::string* root : {&roots_.memory, &roots_.cpu})
    if (!root->empty()) RemoveInstanceCgroup(InstanceCgroup(*root, instance));
}

}  // namespace fastcontainer
