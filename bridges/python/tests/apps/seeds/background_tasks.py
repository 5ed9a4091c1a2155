from fastapi import FastAPI, BackgroundTasks

app = FastAPI()


def process_item(item_id):
    # This runs in the background after response is sent
    print(f"Processing item {item_id}")
    # ...lengthy operation...


@app.post("/items/{item_id}")
async def create_item(item_id: int, background_tasks: BackgroundTasks):
    # Schedule the function to run in the background
    background_tasks.add_task(process_item, item_id)
    return {"message": "Item received"}
