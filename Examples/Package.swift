// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import PackageDescription

var settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

if Context.environment["HOLDFAST_STRICT"] == "1" {
    settings.append(.treatAllWarnings(as: .error))
}

let package = Package(
    name: "holdfast-examples",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "inventory", targets: ["Inventory"])
    ],
    dependencies: [
        .package(name: "holdfast", path: ".."),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    ],
    targets: [
        // SHA-256 comes from OpenSSL, which every machine with libpq's headers has. swift-crypto would be the Swift way; it
        // compiles the whole of BoringSSL, which takes twice as long as Holdfast with all of its dependencies.
        .systemLibrary(
            name: "CLibCrypto",
            pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]
        ),
        .executableTarget(
            name: "Inventory",
            dependencies: [
                "CLibCrypto",
                .product(name: "Holdfast", package: "holdfast"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "InventoryTests",
            dependencies: [
                "Inventory",
                .product(name: "Holdfast", package: "holdfast"),
                .product(name: "HoldfastTestKit", package: "holdfast"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
    ]
)
