#include "capi/vtable_policy.h"

#include <limits>

#include "capi/convert.h"
#include "capi/struct_size.h"

namespace fastcontainer::capi {
namespace {

void Fill(const std::string_view* column, size_t size, std::vector<fc_str>* out) {
  out->clear();
  for (size_t i = 0; i < size; ++i) out->push_back(ToC(column[i]));
}

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

size_t VtablePolicy::Place(const PlacementRequest& request, const HostTable& hosts,
                           absl::Span<uint32_t> candidates) {
  Fill(hosts.id, hosts.size, &ids_);
  Fill(hosts.zone, hosts.size, &zones_);
  fc_host_table table{};
  table.struct_size = sizeof(table);
  table.size = static_cast<uint32_t>(hosts.size);
  table.id_hash = hosts.id_hash;
  table.id = ids_.data();
  table.zone = zones_.data();
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
  fc_place_request asked{};
  asked.struct_size = sizeof(asked);
  asked.replica = request.replica;
  asked.container = ToC(request.container);
  asked.container_hash = request.container_hash;
  asked.cpu = request.cpu;
  asked.memory = request.memory;
  asked.avoid_host = ToC(request.avoid_host);
  const int32_t count = vtable_.place(user_.data(), &asked, &table, candidates.data(),
                                      static_cast<uint32_t>(candidates.size()));
  if (count == FC_E_UNSUPPORTED) return Policy::kDeclined;
  // More rows than there is room for: the router takes that for no answer, and the built-in policy decides.
  return count < 0 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(count);
}

}  // namespace fastcontainer::capi
