// A user's runtime (fc_runtime_vtable) as a driver.
#ifndef FASTCONTAINER_CAPI_VTABLE_RUNTIME_H_
#define FASTCONTAINER_CAPI_VTABLE_RUNTIME_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "capi/include/fastcontainer.h"
#include "capi/user_object.h"
#include "capi/vtable_ops.h"
#include "fastcontainer/runtime.h"

namespace fastcontainer::capi {

// FC_E_INVALID names what is missing.
int32_t ReadRuntimeVtable(const fc_runtime_vtable* in, fc_runtime_vtable* out, fc_error* error);

class VtableRuntime final : public Runtime {
 public:
  VtableRuntime(VtableOps& ops, const fc_runtime_vtable& vtable, void* user_data,
                std::shared_ptr<const bool> taken)
      : ops_(ops), vtable_(vtable), user_(user_data, vtable.destroy, std::move(taken)) {}
  ~VtableRuntime() override;

  void Start(const StartRequest& request, StartCallback callback) override;
  void Stop(const InstanceId& instance, Nanos grace, StopCallback callback) override;
  void Recover(RecoverCallback callback) override;
  void OnExit(ExitCallback callback) override;

 private:
  fc_op Add(bool repeats, VtableOps::Finish finish);

  VtableOps& ops_;
  const fc_runtime_vtable vtable_;
  const UserObject user_;
  absl::flat_hash_set<fc_op> pending_;
};

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_VTABLE_RUNTIME_H_
