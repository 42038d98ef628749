// The right to resume: the proof over a RESUME, and the item of the sub-protocol list that bears one.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>
#include <memory>

#include "proto/base64.h"
#include "proto/resume_frame.h"

namespace rejoin::proto {
namespace {

constexpr std::string_view kProofWords = "rejoin.v1 resume";

struct FreeContext {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

/// None of these calls can fail with arguments of ours; going on if one did would make a proof of nothing.
void must(int answer) {
  if (answer != 1) std::abort();
}

/// An empty HMAC-SHA256. Looking the algorithm up and naming its digest is the dear part (by name and anew
/// each time: 1100 ns), so it is done once for the process; the template never changes afterwards, and
/// threads may copy it.
const EVP_MAC_CTX* blank_hmac() {
  static const EVP_MAC_CTX* const blank = [] {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    if (mac == nullptr) std::abort();
    EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);  // the context holds it
    if (context == nullptr) std::abort();
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    must(EVP_MAC_CTX_set_params(context, params));
    return context;
  }();
  return blank;
}

const unsigned char* bytes(const char* at) { return reinterpret_cast<const unsigned char*>(at); }

}  // namespace

ResumeProof resume_proof(const SessionSecret& secret, Bytes proven) {
  const std::unique_ptr<EVP_MAC_CTX, FreeContext> context(EVP_MAC_CTX_dup(blank_hmac()));
  if (!context) std::abort();
  must(EVP_MAC_init(context.get(), bytes(secret.data()), secret.size(), nullptr));
  must(EVP_MAC_update(context.get(), bytes(kProofWords.data()), kProofWords.size()));
  must(EVP_MAC_update(context.get(), bytes(proven.data()), proven.size()));
  ResumeProof proof;
  std::size_t written = 0;
  must(EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(proof.data()), &written, proof.size()));
  if (written != proof.size()) std::abort();
  return proof;
}

bool proof_holds(const Resume& resume, const SessionSecret& secret) {
  const ResumeProof expected = resume_proof(secret, resume.proven);
  return CRYPTO_memcmp(expected.data(), resume.proof.data(), expected.size()) == 0;
}

std::optional<std::string> resume_item(Bytes resume_frame) {
  if (kResumeItemPrefix.size() + base64_size(resume_frame.size(), Base64::url) > limits::kResumeItemBytesMax)
    return std::nullopt;
  return std::string(kResumeItemPrefix) + base64_encode(resume_frame, Base64::url);
}

std::optional<std::string> resume_in_item(Bytes item) {
  if (item.size() > limits::kResumeItemBytesMax || !item.starts_with(kResumeItemPrefix)) return std::nullopt;
  return base64_decode(item.substr(kResumeItemPrefix.size()), Base64::url);
}

}  // namespace rejoin::proto
