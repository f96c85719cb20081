// What a policy off the loop's thread needs: the hosts, and a way to say how good they are.
#include <memory>
#include <new>
#include <vector>

#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "capi/vtable_policy.h"
#include "fastcontainer/policy.h"

struct fc_hosts {
  explicit fc_hosts(const fastcontainer::HostTable& hosts)
      : copy(hosts), table(fastcontainer::capi::ToC(copy.table(), &ids, &zones)) {}

  const fastcontainer::HostTableCopy copy;
  std::vector<fc_str> ids, zones;
  const fc_host_table table;
};

struct fc_columns {
  std::shared_ptr<fastcontainer::ColumnMemory> memory;
};

namespace fastcontainer::capi {
namespace {

constexpr Nanos kValid = 30 * kSecond;

int32_t Hosts(fc_engine* engine, fc_hosts** out) {
  if (out == nullptr) return FC_E_INVALID;
  *out = nullptr;
  if (engine->closing) return FC_E_SHUTDOWN;
  *out = std::make_unique<fc_hosts>(engine->engine->Hosts()).release();
  return FC_OK;
}

int32_t SetScores(fc_engine* engine, std::string_view class_name, const fc_str* hosts, const double* scores,
                  uint32_t count, uint64_t valid_ns, fc_error* error) {
  if (count > 0 && (hosts == nullptr || scores == nullptr))
    return Fail(error, FC_E_INVALID, "fc_engine_set_scores: hosts or scores is NULL, but count is not 0");
  std::vector<HostScore> table;
  table.reserve(count);
  for (uint32_t i = 0; i < count; ++i) table.push_back({Copy(hosts[i]), scores[i]});
  const absl::Status status =
      engine->engine->SetScores(class_name, table, valid_ns == 0 ? kValid : ToNanos(valid_ns));
  return status.ok() ? FC_OK : Fail(error, status);
}

}  // namespace
}  // namespace fastcontainer::capi

namespace capi = fastcontainer::capi;

extern "C" {

int32_t fc_engine_hosts(fc_engine* engine, fc_hosts** out) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] { return capi::Hosts(engine, out); });
}

const fc_host_table* fc_hosts_table(const fc_hosts* hosts) { return &hosts->table; }

void fc_hosts_release(fc_hosts* hosts) { delete hosts; }

fc_columns* fc_host_table_keep(const fc_host_table* hosts) {
  const auto& memory = *reinterpret_cast<const capi::Shown*>(hosts)->memory;
  if (memory == nullptr) return nullptr;
  auto* const kept = new (std::nothrow) fc_columns{memory};
  if (kept != nullptr) memory->kept = true;
  return kept;
}

void fc_columns_release(fc_columns* columns) { delete columns; }

int32_t fc_engine_set_scores(fc_engine* engine, fc_str class_name, const fc_str* hosts, const double* scores,
                             uint32_t count, uint64_t valid_ns, fc_error* error) {
  return capi::Guard(error, [&] {
    capi::Clear(error);
    return capi::SetScores(engine, capi::View(class_name), hosts, scores, count, valid_ns, error);
  });
}

}  // extern "C"
