// A user's lifecycle hooks (fc_hooks_vtable) as a Hook.
#ifndef FASTCONTAINER_CAPI_VTABLE_HOOKS_H_
#define FASTCONTAINER_CAPI_VTABLE_HOOKS_H_

#include <memory>

#include "capi/include/fastcontainer.h"
#include "fastcontainer/hooks.h"

namespace fastcontainer::capi {

// FC_E_INVALID names what is missing.
int32_t ReadHooksVtable(const fc_hooks_vtable* in, fc_hooks_vtable* out, fc_error* error);

Hook MakeHook(const fc_hooks_vtable& vtable, void* user_data, std::shared_ptr<const bool> taken);

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_VTABLE_HOOKS_H_
