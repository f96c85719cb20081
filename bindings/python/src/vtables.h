// Python objects behind the C ABI's vtables. Each is the user_data of its vtable and is freed by its
// `destroy`; where the call that was to take it fails, `Drop` frees it.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_VTABLES_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_VTABLES_H_

#include <fastcontainer.h>
#include <pybind11/pybind11.h>

namespace fastcontainer::python {

// A new reference for a vtable's user_data. GIL held.
inline void* Keep(const pybind11::object& object) { return object.inc_ref().ptr(); }
inline pybind11::handle Kept(void* user_data) { return static_cast<PyObject*>(user_data); }
void Drop(void* user_data);

extern const fc_policy_vtable kPolicy;  // .place(request, hosts, capacity) -> rows, or a code
extern const fc_hooks_vtable
    kHooks;  // .event(point, container, host, from_host, reason, epoch, replica) -> allowed
extern const fc_cmdb_vtable kCmdb;        // .get, .list, .txn, .watch, .cancel
extern const fc_cmdb_vtable kLeaseCmdb;   // and .lease_grant, .lease_keep, .lease_revoke
extern const fc_runtime_vtable kRuntime;  // .start, .stop, .recover, .watch_exits

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_VTABLES_H_
