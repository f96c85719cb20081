#include "lib/cmdb/postgresql/answers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/postgresql/schema.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer::postgresql {
namespace {

absl::Status NotUnderstood() {
  return absl::DataLossError("postgresql: a row of the schema's tables is missing");
}

}  // namespace

std::string EndOf(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(64, '\xff');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string Unescaped(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes.push_back(text[i]);
    } else if (i + 3 < text.size() && text[i + 1] != '\\') {
      const auto digit = [&](size_t at) { return static_cast<unsigned>(text[at] - '0') & 7u; };
      bytes.push_back(static_cast<char>(digit(i + 1) << 6 | digit(i + 2) << 3 | digit(i + 3)));
      i += 3;
    } else {
      bytes.push_back('\\');
      ++i;
    }
  }
  return bytes;
}

absl::Status ErrorOf(const Answer& answer) { return absl::UnavailableError(answer.error); }

absl::StatusOr<Record> RecordOf(std::string_view key, const Answer& answer) {
  if (answer.kind != Answer::Kind::kRows) return ErrorOf(answer);
  const Rows rows(answer.result.get());
  if (rows.size() == 0) return Record{std::string(key), "", 0};
  return Record{std::string(key), rows.Bytes(0, 0), static_cast<uint64_t>(rows.Number(0, 1))};
}

absl::StatusOr<ListPage> PageOf(uint64_t at_revision, uint32_t limit, const Answer& answer) {
  if (answer.kind != Answer::Kind::kRows) return ErrorOf(answer);
  const Rows rows(answer.result.get());
  if (rows.size() == 0) return NotUnderstood();
  const auto revision = static_cast<uint64_t>(rows.Number(0, 0));
  const auto compacted = static_cast<uint64_t>(rows.Number(0, 1));
  ListPage page;
  page.revision = at_revision == 0 ? revision : at_revision;
  if (page.revision < compacted || page.revision > revision) {
    return absl::OutOfRangeError(
        absl::StrCat("revision ", page.revision, " is gone: the store has ", compacted, " to ", revision));
  }
  for (int row = 0; row < rows.size() && !rows.IsNull(row, 2); ++row) {
    if (page.records.size() == limit) {
      page.next = page.records.back().key;
      break;
    }
    page.records.push_back(
        {rows.Bytes(row, 2), rows.Bytes(row, 3), static_cast<uint64_t>(rows.Number(row, 4))});
  }
  return page;
}

absl::StatusOr<ChangeBatch> ChangesOf(uint64_t limit, const Answer& answer) {
  if (answer.kind != Answer::Kind::kRows) return ErrorOf(answer);
  const Rows rows(answer.result.get());
  if (rows.size() == 0) return NotUnderstood();
  ChangeBatch batch;
  batch.store_revision = static_cast<uint64_t>(rows.Number(0, 0));
  batch.compacted = static_cast<uint64_t>(rows.Number(0, 1));
  for (int row = 0; row < rows.size() && !rows.IsNull(row, 2); ++row) {
    WatchEvent event;
    event.kind = rows.IsNull(row, 4) ? WatchEvent::Kind::kDelete : WatchEvent::Kind::kPut;
    event.revision = static_cast<uint64_t>(rows.Number(row, 2));
    event.record = {rows.Bytes(row, 3), rows.Bytes(row, 4), event.revision};
    batch.events.push_back(std::move(event));
  }
  batch.upto = batch.events.size() < limit ? batch.store_revision : batch.events.back().revision;
  return batch;
}

TxnResult TxnResultOf(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations,
                      const Answer& answer) {
  TxnResult result;
  if (answer.kind != Answer::Kind::kRows) {
    if (answer.kind == Answer::Kind::kLost) result.outcome = TxnOutcome::kUnknown;
    result.error = answer.error;
    return result;
  }
  const Rows rows(answer.result.get());
  const int64_t outcome = rows.size() == 0 ? -1 : rows.Number(0, 0);
  result.revision = rows.size() == 0 ? 0 : static_cast<uint64_t>(rows.Number(0, 1));
  if (outcome == kApplied) {
    result.outcome = TxnOutcome::kOk;
  } else if (outcome == kConflict && static_cast<size_t>(rows.size()) == compares.size()) {
    result.outcome = TxnOutcome::kConflict;
    for (int row = 0; row < rows.size(); ++row) {
      result.current.push_back({compares[static_cast<size_t>(row)].key, rows.Bytes(row, 2),
                                static_cast<uint64_t>(rows.Number(row, 3))});
    }
  } else if (outcome == kLeaseEnded && result.revision < mutations.size()) {
    result.outcome = TxnOutcome::kLeaseEnded;
    result.error = LeaseEndedText(mutations[static_cast<size_t>(result.revision)]);
    result.revision = 0;
  } else {
    result.outcome = TxnOutcome::kUnknown;
    result.error = "postgresql: the function apply() gave an answer that this driver does not know";
  }
  return result;
}

bool MayBeRetried(const Answer& answer) {
  return answer.kind == Answer::Kind::kRefused && (answer.state == "40001" || answer.state == "40P01");
}

}  // namespace fastcontainer::postgresql
