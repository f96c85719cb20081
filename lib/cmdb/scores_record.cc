// Score tables: the one kind of record that grows with the number of hosts. A router reads it between two
// requests, so no document is built of it.
#include <cmath>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/base/strings.h"
#include "lib/cmdb/json_fields.h"

namespace fastcontainer {
namespace {

using nlohmann::json;

constexpr double kNotThisHost = -std::numeric_limits<double>::infinity();
constexpr const char* kHosts = "hosts";
constexpr std::string_view kHostsExpected = "an object of scores by host";

// Takes the hosts as they come, and gives the other fields as an object; of what is in arrays and objects
// there, which are of later versions, only that no key comes twice.
class ScoresReader final : public nlohmann::json_sax<json> {
 public:
  explicit ScoresReader(std::vector<HostScore>* hosts) : hosts_(*hosts) {}

  bool null() override { return Value(json(nullptr), kNotThisHost); }
  bool boolean(bool value) override { return Value(json(value), std::nullopt); }
  bool number_integer(number_integer_t value) override {
    return Value(json(value), static_cast<double>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return Value(json(value), static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t&) override { return Value(json(value), value); }
  bool string(string_t& value) override { return Value(json(value), std::nullopt); }
  bool binary(binary_t&) override { return false; }  // JSON has none
  bool start_object(size_t) override { return Enter(json::object()); }
  bool start_array(size_t) override { return Enter(json::array()); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (in_hosts_ && keys_.size() == 2) {
      hosts_.push_back({std::move(name), kNotThisHost});
      return true;
    }
    if (!keys_.back().insert(name).second) return Refuse(Twice(name));
    if (keys_.size() == 1) field_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return Refuse(absl::StrCat("not valid JSON at byte ", position));
  }

  static std::string Twice(std::string_view name) {
    return absl::StrCat("field \"", Sv(name), "\" appears twice in one object");
  }
  const std::string& error() const { return error_; }
  const json& fields() const { return fields_; }
  // Of the first host that is wrong, what stands there.
  const std::optional<std::pair<std::string, json>>& wrong() const { return wrong_; }

 private:
  bool Value(json value, std::optional<double> score) {
    if (keys_.empty()) {  // no object at all
      fields_ = std::move(value);
    } else if (keys_.size() == 1 && fields_.is_object()) {
      fields_[field_] = std::move(value);
    } else if (in_hosts_ && keys_.size() == 2) {
      Score(std::move(value), score);
    }
    return true;
  }
  void Score(json value, std::optional<double> score) {
    HostScore& host = hosts_.back();
    if (score) host.score = *score;
    if ((!score || !IsName(host.host)) && !wrong_) wrong_.emplace(host.host, std::move(value));
  }
  bool Enter(json empty) {
    const bool object = empty.is_object();
    if (!keys_.empty()) Value(empty, std::nullopt);
    if (keys_.empty()) fields_ = std::move(empty);
    if (keys_.size() == 1) in_hosts_ = object && field_ == kHosts;
    keys_.emplace_back();
    if (keys_.size() <= kMaxRecordDepth) return true;
    return Refuse(absl::StrCat("nested deeper than ", kMaxRecordDepth, " levels"));
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }
  bool Refuse(std::string error) {
    error_ = std::move(error);
    return false;
  }

  std::vector<HostScore>& hosts_;
  std::vector<std::set<std::string>> keys_;  // of each level that is open, but of the hosts
  std::string field_;                        // of the outermost level
  bool in_hosts_ = false;
  json fields_;
  std::optional<std::pair<std::string, json>> wrong_;
  std::string error_;
};

absl::Status CheckHosts(const ScoresReader& reader, const std::vector<HostScore>& hosts) {
  absl::Status status;
  if (reader.wrong()) {
    const auto& [host, value] = *reader.wrong();
    FieldReader fields(reader.fields(), "", &status);
    fields.FailInside(kHosts, host,
                      IsName(host) ? "a number, or null: not this host" : "a host's name before it", value);
    return status;
  }
  absl::flat_hash_set<absl::string_view> names;
  names.reserve(hosts.size());
  for (const HostScore& host : hosts)
    if (!names.insert(Sv(host.host)).second)
      return absl::InvalidArgumentError(ScoresReader::Twice(host.host));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Scores> DecodeScores(std::string_view text) {
  if (text.size() > kMaxScoresBytes)
    return absl::InvalidArgumentError(absl::StrCat("longer than ", kMaxScoresBytes, " bytes: ", text.size()));
  Scores scores;
  ScoresReader reader(&scores.hosts);
  if (!json::sax_parse(text, &reader)) return absl::InvalidArgumentError(reader.error());
  if (!reader.fields().is_object())
    return absl::InvalidArgumentError(
        absl::StrCat("expected a JSON object, got ", ToText(reader.fields()).substr(0, 60)));
  absl::Status status;
  FieldReader fields(reader.fields(), "", &status);
  fields.Version();
  fields.String("by", &scores.by);
  fields.Integer<int64_t>("at_ms", 0, std::numeric_limits<int64_t>::max(), &scores.at_ms);
  fields.Duration("valid_s", 0.1, 86'400, kSecond, &scores.valid);
  fields.Require(kHosts, kHostsExpected);
  const json* const hosts = fields.Raw(kHosts);
  if (hosts != nullptr && !hosts->is_object()) fields.Fail(kHosts, kHostsExpected);
  if (status.ok()) status = CheckHosts(reader, scores.hosts);
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
