// A user's policy (fc_policy_vtable) as a driver.
#ifndef FASTCONTAINER_CAPI_VTABLE_POLICY_H_
#define FASTCONTAINER_CAPI_VTABLE_POLICY_H_

#include <memory>
#include <utility>
#include <vector>

#include "capi/include/fastcontainer.h"
#include "capi/user_object.h"
#include "fastcontainer/policy.h"

namespace fastcontainer::capi {

// FC_E_INVALID names what is missing.
int32_t ReadPolicyVtable(const fc_policy_vtable* in, fc_policy_vtable* out, fc_error* error);

// A view of `hosts`; the strings are in `ids` and `zones`, whose layout, unlike string_view's, is C's.
fc_host_table ToC(const HostTable& hosts, std::vector<fc_str>* ids, std::vector<fc_str>* zones);

// What `place` is shown: a caller who has a pointer to the first has one to both.
struct Shown {
  fc_host_table table;
  const std::shared_ptr<ColumnMemory>* memory;
};

class VtablePolicy final : public Policy {
 public:
  VtablePolicy(const fc_policy_vtable& vtable, void* user_data, std::shared_ptr<const bool> taken)
      : vtable_(vtable), user_(user_data, vtable.destroy, std::move(taken)) {}

  size_t Place(const PlacementRequest& request, const HostTable& hosts,
               absl::Span<uint32_t> candidates) override;

 private:
  const fc_policy_vtable vtable_;
  const UserObject user_;
  std::vector<fc_str> ids_, zones_;
};

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_VTABLE_POLICY_H_
