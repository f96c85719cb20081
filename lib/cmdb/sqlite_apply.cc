// Transactions on the SQLite file, alone and in groups.
#include <sqlite3.h>

#include <string>
#include <utility>

#include "lib/cmdb/sqlite_database.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {

TxnResult SqliteDatabase::Commit(TxnResult result) {
  const int code = sqlite3_exec(db_, "COMMIT", nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) {
    result.outcome = TxnOutcome::kOk;
    return result;
  }
  // The frame that commits is the last one written, so where a write failed, or the lock was not had, the log
  // has no whole one. After any other error, of fsync for instance, it may have one, which another process
  // would recover.
  const bool refused =
      code == SQLITE_IOERR_WRITE || (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY;
  TxnResult failed;
  failed.outcome = refused ? TxnOutcome::kUnavailable : TxnOutcome::kUnknown;
  failed.error = std::string(Error(code).message());
  return failed;
}

TxnResult SqliteDatabase::Apply(const std::vector<Compare>& compares,
                                const std::vector<Mutation>& mutations) {
  TxnResult result;
  absl::Status status = CheckTxn(compares, mutations);
  if (status.ok()) status = Begin();
  if (!status.ok()) {
    result.error = std::string(status.message());
    return result;
  }
  const absl::StatusOr<TxnOutcome> outcome = WriteAll(compares, mutations, &result);
  if (!outcome.ok()) {
    result = TxnResult();
    result.error = std::string(outcome.status().message());
  } else if (*outcome == TxnOutcome::kOk) {
    result = Commit(std::move(result));
  } else {
    result.outcome = *outcome;
  }
  Abandon();
  return result;
}

// Within BEGIN. A transaction that is refused has written nothing, so the group goes on without it.
absl::Status SqliteDatabase::WriteGroup(const std::vector<Transaction*>& transactions) {
  for (Transaction* transaction : transactions) {
    transaction->result = TxnResult();
    if (const absl::Status valid = CheckTxn(transaction->compares, transaction->mutations); !valid.ok()) {
      transaction->result.error = std::string(valid.message());
      continue;
    }
    const absl::StatusOr<TxnOutcome> outcome =
        WriteAll(transaction->compares, transaction->mutations, &transaction->result);
    if (!outcome.ok()) return outcome.status();
    transaction->result.outcome = *outcome;
  }
  return absl::OkStatus();
}

absl::Status SqliteDatabase::Begin() { return Execute("BEGIN IMMEDIATE"); }

void SqliteDatabase::Abandon() {
  // Some errors have rolled it back already.
  if (sqlite3_get_autocommit(db_) == 0) Execute("ROLLBACK").IgnoreError();
}

void SqliteDatabase::ApplyAll(const std::vector<Transaction*>& transactions) {
  if (!WriteGroup(transactions).ok()) {
    Abandon();
    // Each for itself, so that what fails one does not fail the others.
    for (Transaction* transaction : transactions)
      transaction->result = Apply(transaction->compares, transaction->mutations);
    return;
  }
  const TxnResult commit = Commit(TxnResult());
  Abandon();
  if (commit.outcome == TxnOutcome::kOk) return;
  for (Transaction* transaction : transactions) {
    // What was refused may have been so because of one that is not there now.
    const bool wrote = transaction->result.outcome == TxnOutcome::kOk;
    transaction->result = commit;
    if (!wrote) transaction->result.outcome = TxnOutcome::kUnavailable;
  }
}

}  // namespace fastcontainer
