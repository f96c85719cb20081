// A user's lifecycle hooks (fc_hooks_vtable) as a Hook.
#ifndef FASTCONTAINER_CAPI_VTABLE_HOOKS_H_
#define FASTCONTAINER_CAPI_VTABLE_HOOKS_H_

#include "capi/include/fastcontainer.h"
#include "fastcontainer/hooks.h"

namespace fastcontainer::capi {

// FC_E_INVALID names what is missing.
int32_t ReadHooksVtable(const fc_hooks_vtable* in, fc_hooks_vtable* out, fc_error* error);

// Calls `destroy` when the hook is destroyed.
Hook MakeHook(const fc_hooks_vtable& vtable, void* user_data);

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_VTABLE_HOOKS_H_
