// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

#ifndef HOLDFAST_EXAMPLES_CLIBCRYPTO_SHIM_H
#define HOLDFAST_EXAMPLES_CLIBCRYPTO_SHIM_H

#include <openssl/evp.h>

#endif
