#include "capi/vtable_policy.h"

#include <limits>

#include "capi/convert.h"
#include "capi/struct_size.h"

namespace fastcontainer::capi {
namespace {

static_assert(FC_HOST_ADMIN_UP == kHostAdminUp && FC_HOST_REACHABLE == kHostReachable &&
              FC_HOST_FRESH == kHostFresh && FC_HOST_OVERLOADED == kHostOverloaded &&
              FC_HOST_SERVICE_DOWN == kHostServiceDown);

}  // namespace

int32_t ReadPolicyVtable(const fc_policy_vtable* in, fc_policy_vtable* out, fc_error* error) {
  *out = fc_policy_vtable{};
  if (const int32_t code = ReadStruct(in, "fc_policy_vtable", out, error); code != FC_OK) return code;
  if (out->place == nullptr) return Fail(error, FC_E_INVALID, "fc_policy_vtable: place is required");
  return FC_OK;
}

fc_host_table ToC(const HostTable& hosts, std::vector<fc_str>* ids, std::vector<fc_str>* zones) {
  ids->clear();
  zones->clear();
  for (size_t i = 0; i < hosts.size; ++i) {
    ids->push_back(ToC(hosts.id[i]));
    zones->push_back(ToC(hosts.zone[i]));
  }
  fc_host_table table{};
  table.struct_size = sizeof(table);
  table.size = static_cast<uint32_t>(hosts.size);
  table.id_hash = hosts.id_hash;
  table.id = ids->data();
  table.zone = zones->data();
  table.flags = hosts.flags;
  table.free_cpu = hosts.free_cpu;
  table.free_memory = hosts.free_memory;
  table.running = hosts.running;
  table.starting = hosts.starting;
  table.in_flight = hosts.in_flight;
  table.response_ms = hosts.response_ms;
  table.error_rate = hosts.error_rate;
  table.rtt_ms = hosts.rtt_ms;
  table.report_age_s = hosts.report_age_s;
  return table;
}

size_t VtablePolicy::Place(const PlacementRequest& request, const HostTable& hosts,
                           absl::Span<uint32_t> candidates) {
  const Shown shown{ToC(hosts, &ids_, &zones_), &hosts.memory};
  fc_place_request asked{};
  asked.struct_size = sizeof(asked);
  asked.replica = request.replica;
  asked.container = ToC(request.container);
  asked.container_hash = request.container_hash;
  asked.cpu = request.cpu;
  asked.memory = request.memory;
  asked.avoid_host = ToC(request.avoid_host);
  asked.class_name = ToC(request.class_name);
  const int32_t count = vtable_.place(user_.data(), &asked, &shown.table, candidates.data(),
                                      static_cast<uint32_t>(candidates.size()));
  if (count == FC_E_UNSUPPORTED) return Policy::kDeclined;
  // More rows than there is room for: the router takes that for no answer.
  return count < 0 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(count);
}

}  // namespace fastcontainer::capi
