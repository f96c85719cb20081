#include "capi/vtable_hooks.h"

#include <utility>

#include "capi/convert.h"
#include "capi/struct_size.h"
#include "capi/user_object.h"

namespace fastcontainer::capi {
namespace {

static_assert(FC_HOOK_BEFORE_PLACE == static_cast<uint32_t>(HookPoint::kBeforePlace) &&
              FC_HOOK_HOST_UP == static_cast<uint32_t>(HookPoint::kHostUp) &&
              FC_HOOK_FENCE == static_cast<uint32_t>(HookPoint::kFence));

class Hooks {
 public:
  Hooks(const fc_hooks_vtable& vtable, void* user_data, std::shared_ptr<const bool> taken)
      : vtable_(vtable), user_(user_data, vtable.destroy, std::move(taken)) {}

  bool Event(const HookEvent& event) const {
    fc_hook_event out{};
    out.struct_size = sizeof(out);
    out.point = static_cast<uint32_t>(event.point);
    out.container = ToC(event.container);
    out.host = ToC(event.host);
    out.from_host = ToC(event.from_host);
    out.reason = ToC(event.reason);
    out.epoch = event.epoch;
    out.replica = event.replica;
    return vtable_.event(user_.data(), &out) != FC_E_VETO;
  }

 private:
  const fc_hooks_vtable vtable_;
  const UserObject user_;
};

}  // namespace

int32_t ReadHooksVtable(const fc_hooks_vtable* in, fc_hooks_vtable* out, fc_error* error) {
  *out = fc_hooks_vtable{};
  if (const int32_t code = ReadStruct(in, "fc_hooks_vtable", out, error); code != FC_OK) return code;
  if (out->event == nullptr) return Fail(error, FC_E_INVALID, "fc_hooks_vtable: event is required");
  return FC_OK;
}

Hook MakeHook(const fc_hooks_vtable& vtable, void* user_data, std::shared_ptr<const bool> taken) {
  return [hooks = std::make_unique<Hooks>(vtable, user_data, std::move(taken))](const HookEvent& event) {
    return hooks->Event(event);
  };
}

}  // namespace fastcontainer::capi
