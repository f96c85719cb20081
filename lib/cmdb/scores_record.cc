// Score tables: the one kind of record that grows with the number of hosts.
#include <cmath>
#include <limits>
#include <utility>

#include "fastcontainer/records.h"
#include "lib/cmdb/json_fields.h"

namespace fastcontainer {
namespace {

using nlohmann::json;

constexpr double kNotThisHost = -std::numeric_limits<double>::infinity();

void ReadHosts(FieldReader& fields, std::vector<HostScore>* out) {
  constexpr const char* kHosts = "hosts";
  constexpr std::string_view kExpected = "an object of scores by host";
  fields.Require(kHosts, kExpected);
  const json* const hosts = fields.Raw(kHosts);
  if (hosts == nullptr) return;
  if (!hosts->is_object()) return fields.Fail(kHosts, kExpected);
  out->reserve(hosts->size());
  for (const auto& [host, score] : hosts->items()) {
    if (!IsName(host)) return fields.FailInside(kHosts, host, "a host's name before it", score);
    if (!score.is_null() && !score.is_number())
      return fields.FailInside(kHosts, host, "a number, or null: not this host", score);
    out->push_back({host, score.is_null() ? kNotThisHost : score.get<double>()});
  }
}

}  // namespace

absl::StatusOr<Scores> DecodeScores(std::string_view text) {
  const absl::StatusOr<json> object = ParseRecord(text, kMaxScoresBytes);
  if (!object.ok()) return object.status();
  absl::Status status;
  FieldReader fields(*object, "", &status);
  Scores scores;
  fields.Version();
  fields.String("by", &scores.by);
  fields.Integer<int64_t>("at_ms", 0, std::numeric_limits<int64_t>::max(), &scores.at_ms);
  fields.Duration("valid_s", 0.1, 86'400, kSecond, &scores.valid);
  ReadHosts(fields, &scores.hosts);
  if (!status.ok()) return status;
  return scores;
}

std::string EncodeScores(const Scores& scores) {
  json hosts = json::object();
  for (const HostScore& host : scores.hosts)
    hosts[host.host] = std::isfinite(host.score) ? json(host.score) : json(nullptr);
  return ToText(json{{"v", 1},
                     {"by", scores.by},
                     {"at_ms", scores.at_ms},
                     {"valid_s", static_cast<double>(scores.valid) / static_cast<double>(kSecond)},
                     {"hosts", std::move(hosts)}});
}

}  // namespace fastcontainer
