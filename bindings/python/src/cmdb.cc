// The CMDB of an engine: records, transactions, watches, leases; and placements.
#include <string>

#include "bindings/python/src/module.h"
#include "bindings/python/src/results.h"

namespace fastcontainer::python {
namespace {

bool IsEnd(const fc_result& result) { return result.watch_kind == 0 || result.code != FC_OK; }

// The callback gets (error, (records, revision, next, lease, lease_ttl_ns, watch_kind)).
void OnResult(void* user_data, const fc_result* result) {
  InPython("fastcontainer cmdb", [&] {
    auto* const call = static_cast<Call*>(user_data);
    const std::unique_ptr<Call> owned = IsEnd(*result) ? call->state->Finish(call) : nullptr;
    const py::object callback = call->callback;
    py::object error = py::none();
    if (result->code != FC_OK) {
      fc_error told = FC_ERROR_INIT;
      const size_t length = std::min(result->message.length, sizeof(told.message) - 1);
      if (length > 0) std::memcpy(told.message, result->message.data, length);
      error = MakeError(result->code, &told);
    }
    callback(error, ResultToPython(*result));
  });
}

void OnPlaced(void* user_data, int32_t code, const fc_placed* placed, const fc_error* error) {
  InPython("fastcontainer place", [&] {
    auto* const call = static_cast<Call*>(user_data);
    const std::unique_ptr<Call> owned = call->state->Finish(call);
    if (code != FC_OK) {
      owned->callback(MakeError(code, error), py::none());
      return;
    }
    owned->callback(py::none(),
                    py::make_tuple(ToPython(placed->container), placed->replica, ToPython(placed->host),
                                   ToPython(placed->from_host), placed->epoch));
  });
}

fc_op Get(EngineState& state, const std::string& key, bool linearizable, py::object callback) {
  return state.Begin(std::move(callback), [&](fc_engine* engine, fc_op* op, Call* call) {
    return fc_cmdb_get(engine, ToStr(key), linearizable, op, &OnResult, call);
  });
}

fc_op List(EngineState& state, const std::string& prefix, const std::string& after, uint64_t at_revision,
           uint32_t limit, py::object callback) {
  return state.Begin(std::move(callback), [&](fc_engine* engine, fc_op* op, Call* call) {
    return fc_cmdb_list(engine, ToStr(prefix), ToStr(after), at_revision, limit, op, &OnResult, call);
  });
}

// `compares` of (key, revision), `mutations` of (kind, key, value, lease).
fc_op Txn(EngineState& state, const py::iterable& compares, const py::iterable& mutations,
          uint64_t deadline_ns, py::object callback) {
  std::deque<std::string> strings;
  const auto own = [&strings](py::handle text) {
    return ToStr(strings.emplace_back(text.cast<std::string>()));
  };
  std::vector<fc_compare> ifs;
  for (const py::handle item : compares) {
    const auto compare = item.cast<py::tuple>();
    ifs.push_back({own(compare[0]), compare[1].cast<uint64_t>()});
  }
  std::vector<fc_mutation> thens;
  for (const py::handle item : mutations) {
    const auto mutation = item.cast<py::tuple>();
    thens.push_back(
        {mutation[0].cast<uint32_t>(), 0, own(mutation[1]), own(mutation[2]), mutation[3].cast<uint64_t>()});
  }
  fc_engine* const engine = state.Use();
  auto call = std::make_unique<Call>(&state, std::move(callback));
  fc_error error = FC_ERROR_INIT;
  fc_op op = 0;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_cmdb_txn(engine, ifs.data(), static_cast<uint32_t>(ifs.size()), thens.data(),
                       static_cast<uint32_t>(thens.size()), deadline_ns, &op, &OnResult, call.get(), &error);
  }
  if (code != FC_PENDING) Raise(code, &error);
  return state.Began(code, op, std::move(call));
}

fc_op Watch(EngineState& state, const std::string& prefix, uint64_t after_revision, py::object callback) {
  return state.Begin(std::move(callback), [&](fc_engine* engine, fc_op* op, Call* call) {
    return fc_cmdb_watch(engine, ToStr(prefix), after_revision, op, &OnResult, call);
  });
}

using LeaseFunction = int32_t (*)(fc_engine*, uint64_t, fc_op*, fc_result_cb, void*);

auto Lease(LeaseFunction function) {
  return [function](EngineState& state, uint64_t number, py::object callback) {
    return state.Begin(std::move(callback), [&](fc_engine* engine, fc_op* op, Call* call) {
      return function(engine, number, op, &OnResult, call);
    });
  };
}

fc_op Place(EngineState& state, const std::string& container, const std::string& host,
            const std::string& reason, py::object callback) {
  return state.Begin(std::move(callback), [&](fc_engine* engine, fc_op* op, Call* call) {
    return fc_place(engine, ToStr(container), ToStr(host), ToStr(reason), op, &OnPlaced, call);
  });
}

}  // namespace

py::tuple ResultToPython(const fc_result& result) {
  py::list records;
  for (uint32_t i = 0; i < result.record_count; ++i) {
    const fc_record& record = result.records[i];
    records.append(py::make_tuple(ToPython(record.key), ToPython(record.value), record.revision));
  }
  return py::make_tuple(records, result.revision, ToPython(result.next), result.lease, result.lease_ttl_ns,
                        result.watch_kind);
}

void AddCmdb(EngineClass& engine) {
  engine.def("get", &Get, py::arg("key"), py::arg("linearizable"), py::arg("callback"))
      .def("list", &List, py::arg("prefix"), py::arg("after"), py::arg("at_revision"), py::arg("limit"),
           py::arg("callback"))
      .def("txn", &Txn, py::arg("compares"), py::arg("mutations"), py::arg("deadline_ns"),
           py::arg("callback"))
      .def("watch", &Watch, py::arg("prefix"), py::arg("after_revision"), py::arg("callback"))
      .def("lease_grant", Lease(&fc_cmdb_lease_grant), py::arg("ttl_ns"), py::arg("callback"))
      .def("lease_keep", Lease(&fc_cmdb_lease_keep), py::arg("lease"), py::arg("callback"))
      .def("lease_revoke", Lease(&fc_cmdb_lease_revoke), py::arg("lease"), py::arg("callback"))
      .def("place", &Place, py::arg("container"), py::arg("host"), py::arg("reason"), py::arg("callback"));
}

}  // namespace fastcontainer::python
