// One operation of @kessler/s3-store on one object; the result is a line of JSON. See mod.rs.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [modules, bucket, operation, key, ...rest] = process.argv.slice(2)
const within = createRequire(`${modules}/x.js`)
const { S3Client } = await import(pathToFileURL(within.resolve('@aws-sdk/client-s3')).href)
const { default: createS3Store } = await import(pathToFileURL(`${modules}/@kessler/s3-store/index.mjs`).href)
const client = new S3Client({ endpoint: process.env.ENDPOINT, forcePathStyle: true })
const store = createS3Store(bucket, { client })
const typed = { contentType: 'text/x-note', metadata: { owner: 'ann' } }

async function run() {
  switch (operation) {
    case 'create':
      return { etag: (await store.createObject(key, rest[0], typed)).etag }
    case 'update':
      return { etag: (await store.putObjectIfMatch(key, rest[0], rest[1], typed)).etag }
    case 'delete':
      await store.deleteObjectIfMatch(key, rest[0])
      return {}
    default: {
      const got = await store.getObject(key)
      return {
        etag: got.etag,
        body: await got.asString(),
        type: got.response.ContentType,
        owner: got.response.Metadata.owner ?? null
      }
    }
  }
}

// Its own words for a lost race, and the SDK's for a missing key.
const refusals = { KeyExistsError: 412, StaleDataError: 412, ConcurrentWriteConflictError: 409, NoSuchKey: 404 }
try {
  console.log(JSON.stringify(await run()))
} catch (error) {
  const refused = refusals[error.constructor.name] ?? refusals[error.name]
  if (refused === undefined) throw error
  console.log(JSON.stringify({ refused }))
}
