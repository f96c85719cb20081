// Keys, placements and hosts. Specs and classes are in spec.cc.
#include "fastcontainer/records.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/json_fields.h"

namespace fastcontainer {
namespace {

using nlohmann::json;

constexpr uint32_t kMaxReplicaIndex = 9'999;
constexpr uint64_t kMaxCounter = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

struct AdminName {
  AdminState state;
  const char* name;
};
constexpr AdminName kAdminNames[] = {
    {AdminState::kUp, "up"}, {AdminState::kDrain, "drain"}, {AdminState::kDown, "down"}};

void ReadReplica(FieldReader& fields, std::vector<Replica>* out) {
  Replica replica;
  fields.Require("i", "the replica's index");
  fields.Require("epoch", "the replica's epoch");
  fields.Require("host", "a host's name");
  fields.Integer<uint32_t>("i", 0, kMaxReplicaIndex, &replica.index);
  fields.Integer<uint64_t>("epoch", 1, kMaxCounter, &replica.epoch);
  fields.Name("host", &replica.host);
  fields.String("op", &replica.op);
  replica.unknown = fields.Unknown();
  for (const Replica& other : *out) {
    if (other.index == replica.index) fields.Refuse("i", "the placement has another replica of this index");
  }
  out->push_back(std::move(replica));
}

void ReadUnfenced(FieldReader& fields, std::vector<Unfenced>* out) {
  Unfenced unfenced;
  fields.Require("i", "the replica's index");
  fields.Require("epoch", "the replica's epoch");
  fields.Require("host", "a host's name");
  fields.Integer<uint32_t>("i", 0, kMaxReplicaIndex, &unfenced.index);
  fields.Integer<uint64_t>("epoch", 1, kMaxCounter, &unfenced.epoch);
  fields.Name("host", &unfenced.host);
  fields.Integer<uint64_t>("incarnation", 0, kMaxCounter, &unfenced.incarnation);
  unfenced.unknown = fields.Unknown();
  out->push_back(std::move(unfenced));
}

json WithUnknown(json object, std::string_view unknown) {
  AddUnknown(unknown, &object);
  return object;
}

}  // namespace

const Replica* Placement::Find(uint32_t index) const {
  for (const Replica& replica : replicas)
    if (replica.index == index) return &replica;
  return nullptr;
}

absl::StatusOr<Key> DecodeKey(std::string_view text) {
  const absl::StatusOr<json> object = ParseRecord(text);
  if (!object.ok()) return object.status();
  absl::Status status;
  FieldReader fields(*object, "", &status);
  Key key;
  fields.Version();
  fields.Require("container", "a container's name");
  fields.Name("container", &key.container);
  if (!status.ok()) return status;
  return key;
}

std::string EncodeKey(const Key& key) { return ToText(json{{"v", 1}, {"container", key.container}}); }

absl::StatusOr<Placement> DecodePlacement(std::string_view text) {
  const absl::StatusOr<json> object = ParseRecord(text);
  if (!object.ok()) return object.status();
  absl::Status status;
  FieldReader fields(*object, "", &status);
  Placement placement;
  fields.Version();
  std::string state = "placed";
  fields.String("state", &state);
  if (state != "placed" && state != "deleted") fields.Fail("state", "\"placed\" or \"deleted\"");
  placement.deleted = state == "deleted";
  if (!placement.deleted) fields.Require("replicas", "an array of objects");
  fields.Objects("replicas", [&](FieldReader& inside) { ReadReplica(inside, &placement.replicas); });
  fields.Objects("unfenced", [&](FieldReader& inside) { ReadUnfenced(inside, &placement.unfenced); });
  fields.String("spec_revision", &placement.spec_revision);
  fields.String("by", &placement.by);
  fields.String("reason", &placement.reason);
  fields.Integer<int64_t>("at_ms", 0, std::numeric_limits<int64_t>::max(), &placement.at_ms);
  if (!status.ok()) return status;
  placement.unknown = fields.Unknown();
  return placement;
}

std::string EncodePlacement(const Placement& placement) {
  json replicas = json::array();
  for (const Replica& replica : placement.replicas) {
    replicas.push_back(WithUnknown(
        {{"i", replica.index}, {"epoch", replica.epoch}, {"host", replica.host}, {"op", replica.op}},
        replica.unknown));
  }
  json unfenced = json::array();
  for (const Unfenced& entry : placement.unfenced) {
    unfenced.push_back(WithUnknown({{"i", entry.index},
                                    {"epoch", entry.epoch},
                                    {"host", entry.host},
                                    {"incarnation", entry.incarnation}},
                                   entry.unknown));
  }
  return ToText(WithUnknown({{"v", 1},
                             {"replicas", std::move(replicas)},
                             {"unfenced", std::move(unfenced)},
                             {"spec_revision", placement.spec_revision},
                             {"by", placement.by},
                             {"reason", placement.reason},
                             {"at_ms", placement.at_ms},
                             {"state", placement.deleted ? "deleted" : "placed"}},
                            placement.unknown));
}

absl::StatusOr<Host> DecodeHost(std::string_view text) {
  const absl::StatusOr<json> object = ParseRecord(text);
  if (!object.ok()) return object.status();
  absl::Status status;
  FieldReader fields(*object, "", &status);
  Host host;
  constexpr std::string_view kAddress = "a numeric IPv4 or IPv6 address without a port";
  fields.Version();
  fields.Integer<uint64_t>("incarnation", 0, kMaxCounter, &host.incarnation);
  fields.Require("address", kAddress);
  fields.String("address", &host.address);
  if (const absl::StatusOr<Address> address = Address::Parse(host.address);
      !address.ok() || address->port != 0)
    fields.Fail("address", kAddress);
  fields.Require("dispatcher_port", "an integer from 1 to 65535");
  fields.Integer<uint16_t>("dispatcher_port", 1, 65535, &host.dispatcher_port);
  fields.Object("capacity", [&](FieldReader& capacity) {
    capacity.Number("cpu", 0, 1e6, &host.cpu);
    capacity.Integer<uint64_t>("memory", 0, uint64_t{1} << 60, &host.memory);
  });
  fields.StringMap("labels", &host.labels);
  std::string admin = "up";
  fields.String("admin", &admin);
  bool known = false;
  for (const AdminName& name : kAdminNames) {
    if (admin != name.name) continue;
    host.admin = name.state;
    known = true;
  }
  if (!known) fields.Fail("admin", "\"up\", \"drain\" or \"down\"");
  if (!status.ok()) return status;
  host.unknown = fields.Unknown();
  return host;
}

std::string EncodeHost(const Host& host) {
  const char* admin = "up";
  for (const AdminName& name : kAdminNames)
    if (name.state == host.admin) admin = name.name;
  return ToText(WithUnknown({{"v", 1},
                             {"incarnation", host.incarnation},
                             {"address", host.address},
                             {"dispatcher_port", host.dispatcher_port},
                             {"capacity", {{"cpu", host.cpu}, {"memory", host.memory}}},
                             {"labels", host.labels},
                             {"admin", admin}},
                            host.unknown));
}

absl::StatusOr<uint64_t> DecodeHeartbeat(std::string_view text) {
  const absl::StatusOr<json> object = ParseRecord(text);
  if (!object.ok()) return object.status();
  absl::Status status;
  FieldReader fields(*object, "", &status);
  uint64_t incarnation = 0;
  fields.Require("incarnation", "an integer");
  fields.Integer<uint64_t>("incarnation", 0, kMaxCounter, &incarnation);
  if (!status.ok()) return status;
  return incarnation;
}

std::string EncodeHeartbeat(uint64_t incarnation) { return ToText(json{{"incarnation", incarnation}}); }

}  // namespace fastcontainer
