// Specs and the classes that give their defaults.
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/cmdb/json_fields.h"

namespace fastcontainer {
namespace {

using nlohmann::json;

constexpr double kMaxSeconds = 366.0 * 24 * 3600;
constexpr double kMaxProbeMs = 60'000;
constexpr size_t kMaxHedges = 2;  // ProbeOptions::hedge

void ReadProbe(FieldReader& probe, Spec* spec) {
  probe.Duration("deadline_ms", 0.1, kMaxProbeMs, kMillisecond, &spec->probe_deadline);
  probe.Duration("deadline_max_ms", 0, kMaxProbeMs, kMillisecond, &spec->probe_deadline_max);
  if (spec->probe_deadline_max != 0 && spec->probe_deadline_max < spec->probe_deadline)
    probe.Fail("deadline_max_ms", "0, or at least deadline_ms");
  probe.Durations("hedge_ms", kMaxHedges, 0.1, kMaxProbeMs, kMillisecond, &spec->probe_hedge);
}

void ReadReady(FieldReader& ready, Spec* spec) {
  if (ready.Has("http") && ready.Has("tcp"))
    ready.Refuse("tcp", "\"ready\" has \"http\" or \"tcp\", not both");
  if (const json* path = ready.Raw("http"); path != nullptr) {
    const auto* text = path->get_ptr<const std::string*>();
    bool good = text != nullptr && absl::StartsWith(*text, "/");
    // It goes into a request line as it is (RFC 9112, section 3).
    for (size_t i = 0; good && i < text->size(); ++i) good = (*text)[i] > ' ' && (*text)[i] < 0x7f;
    if (!good) return ready.Fail("http", "a path that starts with \"/\"");
    spec->ready_http = *text;
  }
  if (const json* tcp = ready.Raw("tcp"); tcp != nullptr) {
    if (*tcp != true) return ready.Fail("tcp", "true");
    spec->ready_http.clear();
  }
  ready.Duration("timeout_s", 0.001, kMaxSeconds, kSecond, &spec->ready_timeout);
}

void ReadScale(FieldReader& scale, Spec* spec) {
  scale.Integer<uint32_t>("max", 1, 1'000'000, &spec->scale_max);
  if (spec->scale_max > 1) scale.Unsupported("max", "1");
  scale.Integer<uint32_t>("min", 0, spec->scale_max, &spec->scale_min);
}

void ReadWriters(FieldReader& fields, Spec* spec) {
  if (!fields.Has("writers")) return;
  std::string writers;
  fields.String("writers", &writers);
  if (writers != "multi" && writers != "single") fields.Fail("writers", "\"multi\" or \"single\"");
  spec->writers = writers == "single" ? Writers::kSingle : Writers::kMulti;
}

// What a class and a spec have in common.
void ReadFields(FieldReader& fields, Spec* spec) {
  fields.Version();
  fields.Strings("command", &spec->command);
  fields.StringMap("environment", &spec->environment);
  fields.String("directory", &spec->directory);
  if (!spec->directory.empty() && spec->directory.front() != '/')
    fields.Fail("directory", "an absolute path or \"\"");
  fields.Integer<uint16_t>("port", 0, 65535, &spec->port);
  fields.Integer<uint32_t>("concurrency", 0, kMaxConcurrency, &spec->concurrency);
  if (spec->concurrency == 0) spec->concurrency = kMaxConcurrency;
  fields.Object("limits", [spec](FieldReader& limits) {
    limits.Number("cpu", 0, 1e6, &spec->limits.cpu);
    limits.Integer<uint64_t>("memory", 0, uint64_t{1} << 60, &spec->limits.memory);
  });
  fields.Object("probe", [spec](FieldReader& probe) { ReadProbe(probe, spec); });
  fields.Object("ready", [spec](FieldReader& ready) { ReadReady(ready, spec); });
  fields.Object("keep_alive", [spec](FieldReader& keep_alive) {
    keep_alive.Duration("idle_s", 0, kMaxSeconds, kSecond, &spec->idle);
    keep_alive.Duration("life_s", 0, kMaxSeconds, kSecond, &spec->life);
  });
  fields.Object("stop", [spec](FieldReader& stop) {
    stop.Duration("grace_s", 0, kMaxSeconds, kSecond, &spec->stop_grace);
  });
  fields.Object("scale", [spec](FieldReader& scale) { ReadScale(scale, spec); });
  ReadWriters(fields, spec);
}

void ReadClassName(FieldReader& fields, std::string* name) {
  fields.Name("class", name);
  if (*name == kAllClasses)
    fields.Refuse("class", "no class is called \"*\", which stands for all of them (score tables)");
}

absl::StatusOr<json> ParseClass(std::string_view text) {
  absl::StatusOr<json> object = ParseRecord(text);
  if (!object.ok()) return object;
  absl::Status status;
  FieldReader fields(*object, "", &status);
  if (fields.Has("class")) fields.Refuse("class", "a class has no class of its own");
  Spec ignored;
  ReadFields(fields, &ignored);
  if (!status.ok()) return status;
  return object;
}

// The spec's fields over the class's: objects are merged, all else is replaced.
json Merge(json defaults, const json& spec) {
  if (const auto ready = spec.find("ready"); ready != spec.end() && defaults.contains("ready")) {
    // The two ways to be ready exclude each other, so either choice replaces the class's.
    if (ready->contains("tcp")) defaults["ready"].erase("http");
    if (ready->contains("http")) defaults["ready"].erase("tcp");
  }
  defaults.update(spec, /*merge_objects=*/true);
  return defaults;
}

}  // namespace

absl::Status CheckClass(std::string_view text) { return ParseClass(text).status(); }

absl::StatusOr<std::string> SpecClass(std::string_view text) {
  const absl::StatusOr<json> object = ParseRecord(text);
  if (!object.ok()) return object.status();
  absl::Status status;
  FieldReader fields(*object, "", &status);
  std::string name;
  ReadClassName(fields, &name);
  if (!status.ok()) return status;
  return name;
}

absl::StatusOr<Spec> DecodeSpec(std::string_view spec_text, std::string_view class_text) {
  absl::StatusOr<json> object = ParseRecord(spec_text);
  if (!object.ok()) return object.status();
  absl::Status status;
  Spec alone;
  FieldReader own(*object, "", &status);
  ReadClassName(own, &alone.class_name);
  // By itself first, so that a merge cannot hide a field of the wrong type.
  ReadFields(own, &alone);
  if (!status.ok()) return status;
  json merged = std::move(*object);
  if (!class_text.empty()) {
    absl::StatusOr<json> defaults = ParseClass(class_text);
    if (!defaults.ok()) return InRecord(RecordKind::kClass, alone.class_name, defaults.status());
    merged = Merge(std::move(*defaults), merged);
  }
  Spec spec;
  spec.class_name = alone.class_name;
  FieldReader fields(merged, "", &status);
  fields.Require("command", "an array of strings");
  ReadFields(fields, &spec);
  if (!status.ok()) return status;
  spec.json = ToText(merged);
  return spec;
}

}  // namespace fastcontainer
