// CMDBs and runtimes in Python: operations that begin in a method of theirs and end by complete(), from any
// thread.
#include <string>

#include "bindings/python/src/address.h"
#include "bindings/python/src/module.h"
#include "bindings/python/src/results.h"
#include "bindings/python/src/vtables.h"

namespace fastcontainer::python {
namespace {

// Calls a method that begins an operation; what it raises ends the operation with `failed`.
template <typename... Arguments>
int32_t Start(void* user_data, const char* method, int32_t failed, Arguments... arguments) {
  int32_t code = failed;
  InPython("fastcontainer vtable", [&] {
    Kept(user_data).attr(method)(arguments()...);
    code = FC_OK;
  });
  return code;
}

template <typename T>
auto Number(T number) {
  return [number] { return py::int_(number); };
}

auto Text(fc_str text) {
  return [text] { return ToPython(text); };
}

int32_t Get(void* store, fc_op op, fc_str key, int32_t linearizable) {
  return Start(store, "get", FC_E_CMDB, Number(op), Text(key), [=] { return py::bool_(linearizable != 0); });
}

int32_t List(void* store, fc_op op, fc_str prefix, fc_str after, uint64_t at_revision, uint32_t limit) {
  return Start(store, "list", FC_E_CMDB, Number(op), Text(prefix), Text(after), Number(at_revision),
               Number(limit));
}

int32_t Txn(void* store, fc_op op, const fc_compare* compares, uint32_t compare_count,
            const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline) {
  const auto ifs = [=] {
    py::list list;
    for (uint32_t i = 0; i < compare_count; ++i)
      list.append(py::make_tuple(ToPython(compares[i].key), compares[i].revision));
    return list;
  };
  const auto thens = [=] {
    py::list list;
    for (uint32_t i = 0; i < mutation_count; ++i) {
      const fc_mutation& mutation = mutations[i];
      list.append(
          py::make_tuple(mutation.kind, ToPython(mutation.key), ToPython(mutation.value), mutation.lease));
    }
    return list;
  };
  return Start(store, "txn", FC_E_CMDB, Number(op), ifs, thens, Number(deadline));
}

int32_t Watch(void* store, fc_op op, fc_str prefix, uint64_t after_revision) {
  return Start(store, "watch", FC_E_CMDB, Number(op), Text(prefix), Number(after_revision));
}

void CancelOp(void* store, fc_op op) { Start(store, "cancel", FC_OK, Number(op)); }

int32_t LeaseGrant(void* store, fc_op op, uint64_t ttl_ns) {
  return Start(store, "lease_grant", FC_E_CMDB, Number(op), Number(ttl_ns));
}
int32_t LeaseKeep(void* store, fc_op op, uint64_t lease) {
  return Start(store, "lease_keep", FC_E_CMDB, Number(op), Number(lease));
}
int32_t LeaseRevoke(void* store, fc_op op, uint64_t lease) {
  return Start(store, "lease_revoke", FC_E_CMDB, Number(op), Number(lease));
}

int32_t StartContainer(void* runtime, fc_op op, const fc_start_request* request) {
  const auto given = [request] {
    return py::make_tuple(ToPython(request->instance), ToPython(request->container), request->replica,
                          ToPython(request->spec_json), ToPython(request->spec_revision), request->epoch,
                          ToPython(CopyAddress(request->address, request->address_length)),
                          request->prepared != 0);
  };
  return Start(runtime, "start", FC_E_START_FAILED, Number(op), given);
}
int32_t StopContainer(void* runtime, fc_op op, fc_str instance, uint64_t grace_ns) {
  return Start(runtime, "stop", FC_E_SYSTEM, Number(op), Text(instance), Number(grace_ns));
}
int32_t Recover(void* runtime, fc_op op) { return Start(runtime, "recover", FC_E_SYSTEM, Number(op)); }
int32_t WatchExits(void* runtime, fc_op op) { return Start(runtime, "watch_exits", FC_E_SYSTEM, Number(op)); }

// Any thread. False: there is no such operation any more.
bool Complete(EngineState& state, fc_op op, int32_t code, const std::string& message,
              const py::iterable& records, uint64_t revision, const std::string& next, uint64_t lease,
              uint64_t lease_ttl_ns, uint32_t watch_kind) {
  std::deque<std::string> strings;
  const auto own = [&strings](py::handle text) {
    return ToStr(strings.emplace_back(text.cast<std::string>()));
  };
  std::vector<fc_record> shown;
  for (const py::handle item : records) {
    const auto record = item.cast<py::tuple>();
    shown.push_back({own(record[0]), own(record[1]), record[2].cast<uint64_t>()});
  }
  fc_result result{};
  result.struct_size = sizeof(result);
  result.code = code;
  result.watch_kind = watch_kind;
  result.record_count = static_cast<uint32_t>(shown.size());
  result.records = shown.data();
  result.revision = revision;
  result.next = ToStr(next);
  result.message = ToStr(message);
  result.lease = lease;
  result.lease_ttl_ns = lease_ttl_ns;
  int32_t told = FC_E_NOT_FOUND;
  if (!state.Complete(op, result, &told) || told == FC_E_NOT_FOUND) return false;
  if (told != FC_OK) Raise(told);
  return true;
}

}  // namespace

const fc_cmdb_vtable kCmdb = {
    sizeof(fc_cmdb_vtable), 0, &Get, &List, &Txn, &Watch, &CancelOp, &Drop, nullptr, nullptr, nullptr};
const fc_cmdb_vtable kLeaseCmdb = {sizeof(fc_cmdb_vtable),
                                   0,
                                   &Get,
                                   &List,
                                   &Txn,
                                   &Watch,
                                   &CancelOp,
                                   &Drop,
                                   &LeaseGrant,
                                   &LeaseKeep,
                                   &LeaseRevoke};
const fc_runtime_vtable kRuntime = {
    sizeof(fc_runtime_vtable), 0, &StartContainer, &StopContainer, &Recover, &WatchExits, &Drop};

void AddStore(EngineClass& engine) {
  engine.def("complete", &Complete, py::arg("op"), py::arg("code") = FC_OK, py::arg("message") = "",
             py::arg("records") = py::list(), py::arg("revision") = 0, py::arg("next") = "",
             py::arg("lease") = 0, py::arg("lease_ttl_ns") = 0, py::arg("watch_kind") = 0);
}

}  // namespace fastcontainer::python
